//! The listening socket: taken from nobody who uses it, and given back.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::config::RoutingListen;

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: i32 = 128;

/// The mode of the socket: Postfix runs as a user of its own.
const SOCKET_MODE: u32 = 0o666;

/// The mode of a folder that is made for it.
const FOLDER_MODE: u32 = 0o755;

/// The socketmap server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RoutingError {
    /// Another program has the address.
    #[error("cannot listen on {listen} (routing.listen): another program uses it")]
    InUse {
        /// The address that was wanted.
        listen: RoutingListen,
    },
    /// Something that is no socket is where the socket should be.
    #[error(
        "cannot listen on {listen} (routing.listen): expected nothing there or a socket, found another \
         kind of file, which stays"
    )]
    NoSocket {
        /// The address that was wanted.
        listen: RoutingListen,
    },
    /// The address can be reached from other machines.
    #[error(
        "cannot listen on {listen} (routing.listen): expected the path of a socket or a loopback address, \
         as look-ups are neither signed nor secret"
    )]
    NotLoopback {
        /// The address that was wanted.
        listen: RoutingListen,
    },
    /// A socket could not be opened.
    #[error("cannot listen on {listen} (routing.listen): {source}")]
    Listen {
        /// The address that was wanted.
        listen: RoutingListen,
        /// What the system said.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the thread that answers mail hosts: {0}")]
    Thread(#[source] io::Error),
}

/// The open listener.
pub(super) struct Endpoint {
    /// The socket.
    pub(super) socket: Socket,
    /// Where it listens, with the port it really has.
    pub(super) listen: RoutingListen,
    /// The file that is taken away in the end.
    pub(super) file: Option<SocketFile>,
}

/// The file of a listening socket; it goes when this is dropped, unless another one took its place.
pub(super) struct SocketFile {
    /// Where it is.
    path: PathBuf,
    /// Its device and inode.
    id: (u64, u64),
}

/// Opens the listener.
///
/// # Errors
///
/// Says why the address could not be had.
pub(super) fn open(listen: &RoutingListen) -> Result<Endpoint, RoutingError> {
    let failed = |source| refused(listen, source);
    match listen {
        RoutingListen::Unix(path) => {
            if let Some(folder) = folder_of(path) {
                DirBuilder::new()
                    .recursive(true)
                    .mode(FOLDER_MODE)
                    .create(folder)
                    .map_err(failed)?;
            }
            if is_stale(listen, path)? {
                fs::remove_file(path).map_err(failed)?;
            }
            let (socket, file) = bind_file(path).map_err(failed)?;
            Ok(Endpoint {
                socket,
                listen: listen.clone(),
                file: Some(file),
            })
        }
        RoutingListen::Tcp(address) => {
            let socket = bind_tcp(listen, *address)?;
            let local = socket.local_addr().map_err(failed)?;
            let address = local.as_socket().unwrap_or(*address);
            Ok(Endpoint {
                socket,
                listen: RoutingListen::Tcp(address),
                file: None,
            })
        }
    }
}

/// Learns whether the listener could be opened; nothing is made or taken away.
///
/// # Errors
///
/// As [`open`].
pub(super) fn probe(listen: &RoutingListen) -> Result<(), RoutingError> {
    match listen {
        RoutingListen::Unix(path) => is_stale(listen, path).map(drop),
        RoutingListen::Tcp(address) => bind_tcp(listen, *address).map(drop),
    }
}

/// Returns the folder of a path, if it is not the working folder.
fn folder_of(path: &Path) -> Option<&Path> {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
}

/// Returns whether there is a socket that nobody listens on; a server that was killed leaves one.
fn is_stale(listen: &RoutingListen, path: &Path) -> Result<bool, RoutingError> {
    let failed = |source| refused(listen, source);
    // A path that is too long for a socket is told before the folder is looked at.
    let address = SockAddr::unix(path).map_err(failed)?;
    let listen = listen.clone();
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(RoutingError::NoSocket { listen }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    // A listener with a full queue would make this wait for it.
    socket.set_nonblocking(true).map_err(failed)?;
    match socket.connect(&address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Ok(()) => Err(RoutingError::InUse { listen }),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(RoutingError::InUse { listen })
        }
        Err(error) => Err(failed(error)),
    }
}

/// Binds a socket file that every user may connect to.
fn bind_file(path: &Path) -> io::Result<(Socket, SocketFile)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let found = fs::symlink_metadata(path)?;
    // From here on it is taken away again when something fails.
    let file = SocketFile {
        path: path.to_owned(),
        id: (found.dev(), found.ino()),
    };
    fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
    // Nobody can connect before the mode is what it will be.
    socket.listen(BACKLOG)?;
    Ok((socket, file))
}

/// Binds a loopback address and listens.
fn bind_tcp(listen: &RoutingListen, address: SocketAddr) -> Result<Socket, RoutingError> {
    if !address.ip().is_loopback() {
        return Err(RoutingError::NotLoopback {
            listen: listen.clone(),
        });
    }
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // Connections of a server that has just ended do not keep the next one waiting.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket)
    };
    bind().map_err(|source| refused(listen, source))
}

/// Says that an address could not be had.
fn refused(listen: &RoutingListen, source: io::Error) -> RoutingError {
    let listen = listen.clone();
    if source.kind() == io::ErrorKind::AddrInUse {
        return RoutingError::InUse { listen };
    }
    RoutingError::Listen { listen, source }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.id) {
            // One that stays is stale, and the next start takes it away.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_file_is_taken_from_the_dead_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/for/it/routing.sock");
        let listen = RoutingListen::Unix(path.clone());
        probe(&listen).unwrap();
        assert!(
            !folder.path().join("made").exists(),
            "a probe makes nothing"
        );

        let first = open(&listen).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o666);
        for second in [probe(&listen).err(), open(&listen).err()] {
            assert!(
                matches!(second, Some(RoutingError::InUse { .. })),
                "{second:?}"
            );
        }
        drop(first);
        assert!(!path.exists(), "it is taken away in the end");

        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the dead one's");
        probe(&listen).unwrap();
        assert!(path.exists(), "a probe takes nothing away");
        let second = open(&listen).unwrap();

        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(second);
        assert!(path.exists(), "another one's file stays");
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "x").unwrap();
        let listen = RoutingListen::Unix(path.clone());

        for error in [probe(&listen).err(), open(&listen).err()] {
            let text = error.unwrap().to_string();
            let wanted = format!(
                "cannot listen on unix:{} (routing.listen): expected",
                path.display()
            );
            assert!(text.starts_with(&wanted), "{text}");
        }

        assert_eq!(fs::read(&path).unwrap(), b"x");
        let long = RoutingListen::Unix(folder.path().join("a".repeat(120)));
        assert!(matches!(probe(&long), Err(RoutingError::Listen { .. })));
    }

    #[test]
    fn only_loopback_is_served_and_by_one_alone() {
        let tcp = |text: &str| RoutingListen::Tcp(text.parse().unwrap());
        for text in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let found = open(&tcp(text)).err();
            assert!(
                matches!(found, Some(RoutingError::NotLoopback { .. })),
                "{text}"
            );
        }
        let first = open(&tcp("127.0.0.1:0")).unwrap();
        assert_ne!(first.listen, tcp("127.0.0.1:0"), "the port it really has");
        let second = open(&first.listen).err();
        assert!(
            matches!(second, Some(RoutingError::InUse { .. })),
            "{second:?}"
        );
    }
}
