//! Whether the web servers of revocation lists can be reached: connects, says nothing, reads nothing.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use reqwest::Url;

/// For one address; a server that is there answers in well under that.
const CONNECT: Duration = Duration::from_secs(3);

/// For looking up a name and trying all its addresses.
const WHOLE: Duration = Duration::from_secs(8);

/// Those of `urls` that cannot be reached, each with why. All are tried at once.
pub(super) fn unreachable(urls: &[String]) -> Vec<String> {
    let tries: Vec<_> = urls.iter().map(|url| (url, begin(url.clone()))).collect();
    let outcome = |(url, outcome): (&String, mpsc::Receiver<Result<(), String>>)| {
        let why = match outcome.recv_timeout(WHOLE) {
            Ok(Ok(())) => return None,
            Ok(Err(why)) => why,
            Err(_) => format!("no connection in {} s", WHOLE.as_secs()),
        };
        Some(format!("{url}: {why}"))
    };
    tries.into_iter().filter_map(outcome).collect()
}

/// In a thread that is left alone when it takes too long.
fn begin(url: String) -> mpsc::Receiver<Result<(), String>> {
    let (tell, told) = mpsc::channel();
    let attempt = move || {
        // Nobody listens any more if it took too long.
        let _ = tell.send(reach(&url));
    };
    // Without a thread nothing is told, which is a failure, too.
    drop(thread::Builder::new().spawn(attempt));
    told
}

fn reach(url: &str) -> Result<(), String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let addresses = url.socket_addrs(|| None).map_err(|error| error.to_string())?;
    let connect = |address: &SocketAddr| TcpStream::connect_timeout(address, CONNECT);
    let mut last = io::Error::other("its name has no address");
    for address in &addresses {
        match connect(address) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last.to_string())
}
