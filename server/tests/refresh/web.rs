//! A web server that does what it is told, on 127.0.0.1.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What the next requests get.
#[derive(Clone)]
pub(crate) enum Reply {
    /// 200 and this, named by an `ETag`.
    List(Vec<u8>),
    /// Another status, with nothing.
    Status(&'static str),
    /// 200 and a body of so many bytes without end in sight.
    Endless(usize),
    /// The first half of this, then the end.
    Torn(Vec<u8>),
    /// To itself, again and again.
    Circle,
    /// Nothing, for ever.
    Silence,
    /// 200 and this, one byte after each pause.
    Drip(Vec<u8>, Duration),
}

pub(crate) struct Web {
    pub(crate) url: String,
    reply: Arc<Mutex<Reply>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Web {
    pub(crate) fn new(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/crl.der", listener.local_addr().unwrap());
        let reply = Arc::new(Mutex::new(reply));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let web = Self { url, reply: Arc::clone(&reply), requests: Arc::clone(&requests) };
        thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let request = head(&stream);
                let reply = reply.lock().unwrap().clone();
                requests.lock().unwrap().push(request.clone());
                if matches!(reply, Reply::Silence) {
                    silent.push(stream);
                } else {
                    // whoever has read enough hangs up
                    let _ = answer(&stream, &reply, &request);
                }
            }
        });
        web
    }

    pub(crate) fn now_says(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    pub(crate) fn reply(&self) -> Reply {
        self.reply.lock().unwrap().clone()
    }

    /// The heads of all requests so far, in lower case.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn head(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n").to_lowercase()
}

fn answer(mut stream: &TcpStream, reply: &Reply, request: &str) -> std::io::Result<()> {
    match reply {
        Reply::List(body) if request.contains(&format!("if-none-match: {}", etag(body))) => {
            write!(stream, "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n")
        }
        Reply::List(body) => {
            write!(stream, "HTTP/1.1 200 OK\r\nETag: {}\r\n", etag(body))?;
            write!(stream, "Last-Modified: Wed, 01 Jul 2026 00:00:00 GMT\r\n")?;
            write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
            stream.write_all(body)
        }
        Reply::Status(status) => {
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        Reply::Endless(length) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            let block = vec![0x30; 1 << 16];
            (0..length.div_ceil(block.len())).try_for_each(|_| stream.write_all(&block))
        }
        Reply::Torn(body) => {
            let length = body.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
            stream.write_all(&body[..length / 2])
        }
        Reply::Circle => write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
        Reply::Silence => Ok(()),
        Reply::Drip(body, pause) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
            body.iter().try_for_each(|byte| {
                thread::sleep(*pause);
                stream.write_all(&[*byte])
            })
        }
    }
}

fn etag(body: &[u8]) -> String {
    let sum =
        body.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    format!("\"{sum:x}\"")
}
