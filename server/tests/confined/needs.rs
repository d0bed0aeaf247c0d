//! What the network process does all the time, and must keep.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixStream;
use std::thread;

use sknock_storage::{PendingFile, Stored};

use crate::{Around, Attempt, exists};

pub(crate) const ALL: &[Attempt] = &[
    ("write, sync and rename in the state", |around| {
        let mut file = File::create(around.state.join("journal.new"))?;
        file.write_all(b"record")?;
        file.sync_all()?;
        fs::rename(around.state.join("journal.new"), around.state.join("journal"))?;
        File::open(&around.state)?.sync_all()
    }),
    ("read and remove in the state", |around| {
        let path = around.state.join("journal");
        let mut text = String::new();
        File::open(&path)?.read_to_string(&mut text)?;
        fs::remove_file(path)
    }),
    ("make files with room, and write them in place", |around| {
        let file = Stored::create(&around.state.join("journal.0"), 0o600)?;
        file.allocate(1 << 20)?;
        file.write_at(b"record", 4096)?;
        file.sync()?;
        sknock_storage::sync_folder(&around.state)
    }),
    ("put a file in the place of another", |around| {
        for content in [b"old", b"new"] {
            let mut draft = PendingFile::begin(&around.state.join("crl.der"), 0o644)?;
            draft.write_all(content)?;
            draft.publish()?;
        }
        Ok(())
    }),
    ("read what names are looked up in", |_| File::open("/etc/hosts").map(drop)),
    ("read the certificates of web authorities", |_| {
        // Not every machine has any.
        if exists("/etc/ssl") { fs::read_dir("/etc/ssl").map(drop) } else { Ok(()) }
    }),
    ("look up a name", |_| ("localhost", 80).to_socket_addrs().map(drop)),
    ("connect to a web server", connect),
    ("send a datagram", |around| {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.send_to(b"answer", ("127.0.0.1", around.port)).map(drop)
    }),
    ("wake its threads", |_| UnixStream::pair().map(drop)),
    ("start a thread", |_| thread::Builder::new().spawn(|| ())?.join().map_err(|_| died())),
];

fn connect(around: &Around) -> io::Result<()> {
    TcpStream::connect(("127.0.0.1", around.port))?.set_nonblocking(true)
}

fn died() -> io::Error {
    io::Error::other("it died")
}
