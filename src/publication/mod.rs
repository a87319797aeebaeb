//! One writer hands immutable values to many readers.
//!
//! A [`Publisher`] swaps the current value, [`Reader`]s load it without a lock and without waiting:
//! what the control plane publishes never stops a worker. A value is never changed once published;
//! a reader that holds an old one keeps it until it lets go.
//!
//! Many values that are swapped one by one, each found by its key, are a [`published_map`].
//!
//! Start reading at [`published`].

mod map;

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

pub use map::{Keyed, MapPublisher, MapReader, View, published_map};

/// Returns the two ends of a published value that begins as `first`.
pub fn published<T>(first: Arc<T>) -> (Publisher<T>, Reader<T>) {
    let current = Arc::new(ArcSwap::new(first));
    let publisher = Publisher {
        current: Arc::clone(&current),
    };
    (publisher, Reader { current })
}

/// The writer's end: there is one, so that two writers cannot undo each other's work.
#[derive(Debug)]
pub struct Publisher<T> {
    /// The value that readers load.
    current: Arc<ArcSwap<T>>,
}

/// A reader's end; clones see the same value.
#[derive(Debug)]
pub struct Reader<T> {
    /// The value that the publisher swaps.
    current: Arc<ArcSwap<T>>,
}

/// A loaded value: stays the same for as long as it is held.
///
/// Cheap to take and meant to be short-lived: hold one for a query, not for a connection.
pub type Loaded<T> = Guard<Arc<T>>;

impl<T> Publisher<T> {
    /// Makes `value` the current one: whoever loads from now on gets it.
    pub fn publish(&mut self, value: Arc<T>) {
        self.current.store(value);
    }

    /// Returns the current value.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }
}

impl<T> Reader<T> {
    /// Returns the current value; neither locks nor waits.
    pub fn load(&self) -> Loaded<T> {
        self.current.load()
    }
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self {
            current: Arc::clone(&self.current),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reader_sees_what_was_published_last() {
        let (mut publisher, reader) = published(Arc::new(1));
        let clone = reader.clone();

        publisher.publish(Arc::new(2));

        assert_eq!((**reader.load(), **clone.load()), (2, 2));
        assert_eq!(*publisher.current(), 2);
    }

    #[test]
    fn a_loaded_value_stays_while_it_is_held() {
        let (mut publisher, reader) = published(Arc::new(1));
        let held = reader.load();

        publisher.publish(Arc::new(2));

        assert_eq!((**held, **reader.load()), (1, 2));
    }
}
