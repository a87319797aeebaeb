//! Where delivered mail ends: an LMTP server (RFC 2033) that keeps who got what, and when.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// One delivery.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// The recipient's address.
    pub(super) recipient: String,
    /// When it was acknowledged.
    pub(super) at: Instant,
}

/// A mailbox for everybody.
pub(super) struct Sink {
    path: PathBuf,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
}

impl Sink {
    /// Starts it on a socket in the folder.
    pub(super) fn start(folder: &Path) -> Self {
        let path = folder.join("sink.sock");
        let listener = UnixListener::bind(&path).unwrap();
        // Postfix delivers as a user of its own.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        let deliveries = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&deliveries);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let into = Arc::clone(&into);
                // A connection that breaks leaves its message unacknowledged: it comes again.
                std::thread::spawn(move || drop(serve(&stream, &into)));
            }
        });
        Self { path, deliveries }
    }

    /// Returns where it listens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what arrived so far.
    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.lock().expect("nothing panics here").clone()
    }
}

/// Serves one connection to its end.
fn serve(stream: &UnixStream, into: &Mutex<Vec<Delivery>>) -> std::io::Result<()> {
    let mut writer = stream;
    let mut lines = BufReader::new(stream).lines();
    let mut recipients: Vec<String> = Vec::new();
    writer.write_all(b"220 sink LMTP\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "LHLO" => writer.write_all(b"250-sink\r\n250 ENHANCEDSTATUSCODES\r\n")?,
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                recipients.push(address.to_owned());
                writer.write_all(b"250 2.1.5 ok\r\n")?;
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n")?;
                while lines.next().transpose()?.is_some_and(|line| line != ".") {}
                for recipient in recipients.drain(..) {
                    let at = Instant::now();
                    let delivery = Delivery { recipient, at };
                    into.lock().expect("nothing panics here").push(delivery);
                    writer.write_all(b"250 2.0.0 kept\r\n")?;
                }
            }
            "RSET" => {
                recipients.clear();
                writer.write_all(b"250 2.0.0 ok\r\n")?;
            }
            "QUIT" => return writer.write_all(b"221 2.0.0 bye\r\n"),
            _ => writer.write_all(b"250 2.0.0 ok\r\n")?,
        }
    }
    Ok(())
}
