//! One process a folder, and files that outlive a loss of power.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

use nix::fcntl::posix_fallocate;

use crate::store::StoreError;

/// The proof that no other process has the store in a folder open, for as long as it lives.
///
/// The lock is the kernel's (`flock`), so it ends with its process, however that ends. The file
/// says whose it is; what it says means nothing while nobody holds the lock.
#[derive(Debug)]
pub(super) struct FolderLock {
    /// The folder.
    folder: PathBuf,
    /// The file that is locked; closing it gives the lock back.
    _file: File,
}

impl FolderLock {
    /// The name of the file; LMDB's own is called otherwise.
    const FILE: &str = "lock";

    /// How large LMDB's `lock.mdb` is: a reader takes 64 octets, so a thousand may read at once.
    const READER_TABLE: i64 = 64 << 10;

    /// Makes the folder if it is missing, readable by nobody else, and takes its lock.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let place = folder.display().to_string();
        let failed = |source| StoreError::from_io(&place, "open the store in", source);
        create_folder(folder).map_err(failed)?;
        // Fixed now: a relative path would change its meaning with the working directory.
        let folder = folder.canonicalize().map_err(failed)?;
        let path = folder.join(Self::FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&path).ok();
                let pid = pid.and_then(|text| text.trim().parse().ok());
                return Err(StoreError::Locked { folder, pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // A full disk must not keep the server from starting and serving: who holds the lock is
        // told on a best effort.
        let _ = write_owner(&file);
        Ok(Self {
            folder,
            _file: file,
        })
    }

    /// Returns the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes sure that LMDB's table of readers has its room on the disk.
    ///
    /// LMDB writes it through a map, and a map that finds the disk full kills the process.
    pub(super) fn reserve_reader_table(&self) -> io::Result<()> {
        let table = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.folder.join("lock.mdb"))?;
        posix_fallocate(&table, 0, Self::READER_TABLE)?;
        Ok(())
    }

    /// Makes the names of the files in the folder, and the folder's own, durable.
    ///
    /// The files' content may be on disk before; a file without a name is lost with the power.
    pub(super) fn sync_names(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()?;
        match self.folder.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Makes a folder and those above it, unless it is there.
fn create_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes who holds the lock.
fn write_owner(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", process::id())
}
