//! What one commit writes, and what must hold for it to be made.

use super::record::{self, Record};
use super::{Space, StoreError};

/// Changes that are made together, and what must hold for them to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// What must hold before.
    requirements: Vec<Requirement>,
    /// What is done, in order.
    operations: Vec<Operation>,
    /// How many octets of keys and values the operations hold.
    octets: usize,
}

/// What must be true of a key before a batch is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The key's space.
    pub space: Space,
    /// The key.
    pub key: Box<[u8]>,
    /// What must be found there.
    pub expected: Expected,
}

/// What must be found at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Absent,
    /// Any value.
    Present,
    /// This value.
    Value(Vec<u8>),
}

impl Requirement {
    /// Refuses what was found at the key, if it is not what must be there.
    pub(super) fn check(&self, found: Option<&[u8]>) -> Result<(), StoreError> {
        if self.expected.is_met_by(found) {
            return Ok(());
        }
        Err(StoreError::Precondition {
            space: self.space,
            key: self.key.clone(),
        })
    }
}

impl Expected {
    /// Returns whether this is what was found.
    pub fn is_met_by(&self, found: Option<&[u8]>) -> bool {
        match self {
            Self::Absent => found.is_none(),
            Self::Present => found.is_some(),
            Self::Value(value) => found == Some(value.as_slice()),
        }
    }
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The key has this value from now on.
    Put {
        /// The key's space.
        space: Space,
        /// The key.
        key: Box<[u8]>,
        /// Its value.
        value: Vec<u8>,
    },
    /// The key is gone, if it ever was there.
    Delete {
        /// The key's space.
        space: Space,
        /// The key.
        key: Box<[u8]>,
    },
}

impl Operation {
    /// Returns the space and key that change.
    pub fn target(&self) -> (Space, &[u8]) {
        match self {
            Self::Put { space, key, .. } | Self::Delete { space, key } => (*space, key),
        }
    }
}

impl Batch {
    /// Returns a batch of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a key a value.
    pub fn put(&mut self, space: Space, key: &[u8], value: Vec<u8>) {
        self.octets += key.len() + value.len();
        let key = key.into();
        self.operations.push(Operation::Put { space, key, value });
    }

    /// Gives a key of a record's space that record.
    pub fn put_record<R: Record>(&mut self, key: &[u8], record: &R) {
        self.put(R::SPACE, key, record::encode(record));
    }

    /// Removes a key.
    pub fn delete(&mut self, space: Space, key: &[u8]) {
        self.octets += key.len();
        let key = key.into();
        self.operations.push(Operation::Delete { space, key });
    }

    /// Lets the batch be made only if a key holds what is expected.
    pub fn require(&mut self, space: Space, key: &[u8], expected: Expected) {
        self.requirements.push(Requirement {
            space,
            key: key.into(),
            expected,
        });
    }

    /// Adds all of another batch behind what is here.
    pub fn append(&mut self, other: Self) {
        self.requirements.extend(other.requirements);
        self.operations.extend(other.operations);
        self.octets += other.octets;
    }

    /// Returns what must hold.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Returns what is done, in order.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Returns how many octets of keys and values are written.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Refuses keys that no store takes.
    pub(super) fn check_keys(&self) -> Result<(), StoreError> {
        let required = self.requirements.iter().map(|r| (r.space, &*r.key));
        let changed = self.operations.iter().map(Operation::target);
        required
            .chain(changed)
            .try_for_each(|(space, key)| StoreError::check_key(space, key))
    }

    /// Returns whether nothing is done.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}
