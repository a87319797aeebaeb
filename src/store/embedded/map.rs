//! The memory under the store: the calls that the compiler cannot check.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;

use heed::{Env, EnvOpenOptions, WithoutTls};
use nix::sys::mman::{MmapAdvise, madvise};

use super::lock::FolderLock;
use crate::store::Space;

/// Opens LMDB in a locked folder.
///
/// Commits are synced to disk; reads need no thread-local slots, so that a thread may read while
/// it reads. How many can read at one moment follows from the size of LMDB's table of readers,
/// which the lock has reserved.
pub(super) fn open(lock: &FolderLock, map_size: usize) -> heed::Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options
        .map_size(map_size)
        .max_dbs(Space::ALL.len() as u32 + 1);
    // SAFETY: a map is sound while nobody changes or truncates the file behind LMDB's back. The
    // lock proves that no other server has it open, nothing else in this crate opens the files,
    // and the folder is readable by its owner alone. LMDB's own lock file stays in use.
    unsafe { options.open(lock.folder()) }
}

/// Drops the mapped pages from this process's memory; what is read again comes back from the
/// page cache.
pub(super) fn drop_pages(env: &Env<WithoutTls>) -> io::Result<()> {
    let file = env.try_clone_inner_file().map_err(io::Error::other)?;
    let inode = file.metadata()?.ino();
    let maps = fs::read_to_string("/proc/self/maps")?;
    for range in maps.lines().filter_map(|line| data_file_range(line, inode)) {
        let Some(start) = NonNull::new(range.start as *mut c_void) else {
            continue;
        };
        // SAFETY: the range is a mapping of the store's file, which stays mapped while `env`
        // lives. It is shared and never written through, so dropped pages lose nothing: the next
        // access, by whatever thread, reads the same octets from the file again.
        unsafe { madvise(start, range.len(), MmapAdvise::MADV_DONTNEED)? };
    }
    Ok(())
}

/// Has the allocator give free memory back to the system.
///
/// glibc keeps what was freed below anything that is still in use; after ten thousand zones came
/// and others went, that is two to three times what is in use.
pub(super) fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim has no preconditions and is safe in threads (malloc_trim(3)); it moves
    // and frees nothing that is in use.
    unsafe {
        nix::libc::malloc_trim(0);
    }
}

/// Returns the addresses in a line of `/proc/self/maps` that shows LMDB's data file (proc(5)).
fn data_file_range(line: &str, inode: u64) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let shared = fields.next()?.ends_with('s');
    let found: u64 = fields.nth(2)?.parse().ok()?;
    let ours = shared && found == inode && fields.next()?.ends_with("/data.mdb");
    let parse = |digits| usize::from_str_radix(digits, 16).ok();
    ours.then_some(parse(start)?..parse(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_file_is_told_from_other_mappings() {
        let data = "7f0000000000-7f0000003000 r--s 00000000 fd:00 77  /var/lib/mxpool/data.mdb";
        let private = "7f0000000000-7f0000003000 r--p 00000000 fd:00 77  /var/lib/mxpool/data.mdb";
        let other = "7f0000000000-7f0000003000 rw-s 00000000 fd:00 78  /var/lib/mxpool/lock.mdb";
        let anonymous = "7f0000000000-7f0000003000 rw-p 00000000 00:00 0";

        let expected = 0x7f00_0000_0000..0x7f00_0000_3000;
        assert_eq!(data_file_range(data, 77), Some(expected));
        assert_eq!(data_file_range(data, 78), None);
        assert_eq!(data_file_range(private, 77), None);
        assert_eq!(data_file_range(other, 78), None);
        assert_eq!(data_file_range(anonymous, 0), None);
    }
}
