//! Files that are read while the server runs: what lies there in their place must not stop it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

/// Opens a file to be read.
///
/// A FIFO would let nobody go before somebody writes to it, not even when the server is to stop.
///
/// # Errors
///
/// What the system said, or that it is something else than a file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // It changes nothing for files.
    let options = options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    Ok(file)
}

/// Reads a file of at most `longest` octets.
///
/// # Errors
///
/// As [`open`], or that it has more.
pub(super) fn read(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    read_open(open(path)?, longest)
}

/// Reads an open file of at most `longest` octets.
///
/// # Errors
///
/// What the system said, or that it has more.
pub(super) fn read_open(file: File, longest: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    file.take(longest + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > longest {
        let more = format!("it has more than {longest} octets");
        return Err(io::Error::other(more));
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn a_fifo_that_nobody_writes_to_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();

        let error = open(&path).unwrap_err();

        assert_eq!(error.to_string(), "it is no file");
    }
}
