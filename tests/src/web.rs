//! A web server that does what a test wants: right, wrong, slowly or not at all.

mod request;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use self::request::Request;
use crate::Namespace;
use crate::echo::is_readable;
use crate::wait::{once_free, some};

/// Bytes to serve, and the validators of this version.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The body.
    pub bytes: Vec<u8>,
    /// With quotes, as in the header. A request with the same value gets 304, and one with `*`.
    pub etag: Option<String>,
    /// As in the header. A request with the same date gets 304, if there is no etag.
    pub last_modified: Option<String>,
}

impl Page {
    /// Without a validator: served in full every time.
    pub fn plain(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), ..Self::default() }
    }
}

/// How to answer requests from now on.
#[derive(Clone, Debug)]
pub enum Reply {
    /// 200, or 304 if the client has it already.
    Page(Page),
    /// Only this status, without a body.
    Status(u16),
    /// Nothing; the connection stays open until the client or the server ends.
    Hang,
    /// 200 with this body, one byte after each pause.
    Drip(Vec<u8>, Duration),
    /// 200 with a body that never ends.
    Endless,
    /// Close without a word.
    Close,
    /// These bytes instead of HTTP.
    Raw(Vec<u8>),
}

/// The server. Stops listening when dropped.
#[derive(Debug)]
pub struct Web {
    shared: Arc<Shared>,
    /// Dropped first, which wakes the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    port: u16,
}

#[derive(Debug)]
struct Shared {
    /// The last one stays.
    reply: Mutex<VecDeque<Reply>>,
    heard: Mutex<Vec<Request>>,
}

impl Web {
    /// Listens on a TCP port in `namespace`, in both families.
    pub fn start(namespace: &Namespace, port: u16, reply: Reply) -> Self {
        let bind = || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port));
        let listener = namespace.inside(|| once_free(bind));
        let shared =
            Arc::new(Shared { reply: Mutex::new([reply].into()), heard: Mutex::default() });
        let (stop, stopped) = UnixStream::pair().expect("descriptors are left");
        let served = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            while is_readable(listener.as_fd(), stopped.as_fd()) {
                let Ok((stream, _)) = listener.accept() else { continue };
                let shared = Arc::clone(&served);
                // A client that hangs up is no fault.
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { shared, stop: Some(stop), thread: Some(thread), port }
    }

    /// Answers so from now on.
    pub fn reply(&self, reply: Reply) {
        self.reply_in_turn([reply]);
    }

    /// Answers so from now on, one request after the other; the last as often as it is asked.
    pub fn reply_in_turn(&self, replies: impl IntoIterator<Item = Reply>) {
        let replies = replies.into_iter().collect();
        *self.shared.reply.lock().unwrap_or_else(PoisonError::into_inner) = replies;
    }

    /// Where `path` is, seen from a machine that reaches this one at `address`.
    pub fn url(&self, address: IpAddr, path: &str) -> String {
        format!("http://{}{path}", SocketAddr::new(address, self.port))
    }

    /// All requests until now.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.heard().clone()
    }

    /// Waits for request number `index`, counted from 0.
    #[track_caller]
    pub fn request(&self, index: usize) -> Request {
        some("a request to the web server", || self.shared.heard().get(index).cloned())
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is ignored: the test notices missing answers.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, Vec<Request>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Reply {
        let mut replies = self.reply.lock().unwrap_or_else(PoisonError::into_inner);
        let next = if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() };
        next.unwrap_or(Reply::Close)
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        let request = Request::read(stream)?;
        let reply = self.next();
        self.heard().push(request.clone());
        answer(stream, &request, reply)
    }
}

fn answer(mut stream: &TcpStream, request: &Request, reply: Reply) -> io::Result<()> {
    match reply {
        Reply::Page(page) if is_known(&page, request) => head(stream, 304, &page, None),
        Reply::Page(page) => {
            head(stream, 200, &page, Some(page.bytes.len()))?;
            stream.write_all(&page.bytes)
        }
        Reply::Status(status) => head(stream, status, &Page::default(), Some(0)),
        Reply::Hang => io::copy(&mut stream, &mut io::sink()).map(drop),
        Reply::Drip(bytes, pause) => {
            head(stream, 200, &Page::default(), Some(bytes.len()))?;
            bytes.iter().try_for_each(|byte| {
                thread::sleep(pause);
                stream.write_all(&[*byte])
            })
        }
        Reply::Endless => {
            head(stream, 200, &Page::default(), None)?;
            io::copy(&mut io::repeat(0x30), &mut stream).map(drop)
        }
        Reply::Close => Ok(()),
        Reply::Raw(bytes) => stream.write_all(&bytes),
    }
}

fn is_known(page: &Page, request: &Request) -> bool {
    match (&page.etag, request.header("if-none-match"), &page.last_modified) {
        (Some(etag), Some(known), _) => known == etag || known == "*",
        (None, _, Some(date)) => request.header("if-modified-since") == Some(date),
        _ => false,
    }
}

fn head(mut stream: &TcpStream, status: u16, page: &Page, length: Option<usize>) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} as told\r\nConnection: close\r\n");
    let headers = [
        ("Content-Length", length.map(|length| length.to_string())),
        ("ETag", page.etag.clone()),
        ("Last-Modified", page.last_modified.clone()),
    ];
    for (name, value) in headers {
        head.extend(value.map(|value| format!("{name}: {value}\r\n")));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())
}
