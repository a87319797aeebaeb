//! Durable facts behind one small trait.
//!
//! A [`Store`] keeps octets under keys in a handful of [`Space`]s and changes them by whole
//! [`Batch`]es. What the octets mean is said in [`record`], as versioned serde types, and in
//! [`meta`] for the few facts about the store itself. [`Embedded`] is the store of a single
//! server: LMDB in a folder. [`Memory`] keeps everything in memory, for tests; both pass the same
//! battery. [`backup`] writes a store into one file and fills an empty store from one.
//!
//! Nothing here knows what a change means, signs, or decides: whoever writes says in a batch's
//! preconditions what must still be true.
//!
//! Start reading at [`Store`].

pub mod backup;
pub mod meta;
pub mod record;

mod batch;
#[cfg(test)]
mod battery;
mod embedded;
mod error;
mod memory;
mod space;
mod watch;

use std::io::Write;
use std::ops::{Bound, ControlFlow};

pub use backup::{BackupReport, RestoreError, RestoreReport, restore_into};
pub use batch::{Batch, Expected, Operation, Requirement};
pub use embedded::Embedded;
pub use error::StoreError;
pub use memory::Memory;
pub use space::{Direction, Space};
pub use watch::{ChangedKey, CommitLog, CommitNotice, Sequence, Watch, WatchError};

/// What a scan calls with each key and value; it breaks off when it has seen enough.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// What every store can do.
///
/// One process writes; calls come from any thread and block until the disk has answered. All of
/// it can be had from a replicated store with small transactions as well, etcd for one:
///
/// * A batch that fits one transaction is one: its requirements are the comparisons, its puts and
///   deletes the operations. A larger one is written in chunks below an id of its own, which
///   readers ignore, and counts from the one compare-and-set on that puts its id into the list of
///   batches that do; what is left of a batch that never came so far is swept away later.
/// * [`Sequence`] is the store's own revision, which grows with every transaction.
/// * [`Store::watch`] is the store's watch from a revision, fed into a [`CommitLog`]; what the
///   store has compacted away comes out as [`WatchError::Compacted`].
///
/// So nothing here promises what such a store could not: there is no transaction that stays open
/// between two calls, no read of two keys at one moment but by [`Store::scan`] of one space, and
/// no order between keys but that of their octets.
pub trait Store: Send + Sync + 'static {
    /// Makes every change of a batch, or none; durable when it returns.
    ///
    /// Requirements are checked first, against what was there before the batch; of two operations
    /// on one key the later wins. A batch may be of any size, but all of it is held in memory, so
    /// thousands of signed zones are better stored in several. An empty batch changes nothing,
    /// the sequence included.
    ///
    /// # Errors
    ///
    /// When a requirement does not hold, there is no room, or the disk fails. Nothing has changed
    /// then, and the store goes on working.
    fn commit(&self, batch: &Batch) -> Result<Sequence, StoreError>;

    /// Returns the value of a key, if there is one.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows the keys and values of a space in the order of the keys' octets, as they are at one
    /// moment, until there are no more or `visit` breaks off.
    ///
    /// `from` is where to begin: the lowest key when ascending, the highest when descending. The
    /// octets are lent; `visit` copies what it keeps and must not call the store.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn scan(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;

    /// Returns the sequence of the last commit; zero before the first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    fn sequence(&self) -> Result<Sequence, StoreError>;

    /// Follows the commits after one: which keys changed with each.
    ///
    /// # Errors
    ///
    /// When the store no longer knows all that changed since: read everything and watch from
    /// [`Store::sequence`], taken before reading.
    fn watch(&self, after: Sequence) -> Result<Watch, WatchError>;

    /// Writes all that is stored at one moment as a backup (see [`backup`]), while the store goes
    /// on being written to.
    ///
    /// What is changed meanwhile needs room beside what is being written, so `to` should be a file
    /// or memory rather than a slow client.
    ///
    /// # Errors
    ///
    /// When the store cannot be read or `to` cannot be written.
    fn backup(&self, to: &mut dyn Write) -> Result<BackupReport, StoreError>;

    /// Gives back the memory that holds nothing but what is on disk as well.
    ///
    /// To be called after a load or a burst: what was read through a memory map counts as the
    /// process's memory until then.
    fn release_pages(&self);
}
