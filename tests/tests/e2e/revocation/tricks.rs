//! A web server that plays with HTTP itself: the last good list stays, and the network process lives.

use sknock_tests::Reply;

use super::bad_lists::stands_firm;

/// An answer with these lines in its head.
fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", head.as_bytes(), b"\r\n", body].concat()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

#[test]
fn malformed_http_responses_change_nothing_and_do_no_harm() {
    stands_firm(|scene, daemon, firm| {
        let network = daemon.network();
        // As much of a bomb as matters: what is never unpacked does not explode.
        let gzip = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0xed; 1000]].concat();
        let long = "x".repeat(10 << 20);
        for (what, reply) in [
            ("a bomb", answer("Content-Encoding: gzip\r\nContent-Length: 1010\r\n", &gzip)),
            ("a long header", answer(&format!("X-Long: {long}\r\n"), b"")),
            ("many headers", answer(&"X-Many: 1\r\n".repeat(100_000), b"")),
            ("more than it has", answer("Content-Length: 18446744073709551615\r\n", b"")),
            ("two lengths", answer("Content-Length: 1\r\nContent-Length: 2\r\n", b"00")),
            ("no length", answer("Content-Length: -1\r\n", b"00")),
            ("a huge chunk", answer("Transfer-Encoding: chunked\r\n", b"ffffffffffffffff\r\n0")),
            ("a part", b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-1/9\r\n\r\n00".to_vec()),
            ("patience", b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100_000)),
            ("another scheme", redirect("file:///etc/passwd")),
            ("no host", redirect("http:///crl.der")),
            ("bytes that are no text", redirect("\u{1}\u{7f}")),
        ] {
            scene.web.reply(Reply::Raw(reply));
            let (mark, before) = (daemon.mark(), scene.web.requests().len());
            daemon.reload();
            let line = daemon.wait_since(mark, "The previous CRL stays in force");
            assert!(line.contains("WARN"), "{what}: {line}");
            let request = scene.web.request(before);
            assert_eq!(request.header("accept-encoding"), None, "nothing is to be unpacked");
            assert_eq!(request.header("range"), None, "a list is fetched whole");
            firm(what);
        }
        assert_ne!(daemon.network(), network, "each reload has its own");
        assert_eq!(daemon.times_said("network process exited"), 0);
    });
}
