//! Manifests: what users write down about zones, pools and domains, as one change for the API.
//!
//! A manifest's tables become the API's documents under the same keys; files that it names (master
//! files, certificates, lists of domains) are read and put in their place. Every value remembers
//! file and line, so that what the server finds wrong is shown where it was written.
//!
//! Start reading at [`Manifest::read`].

mod document;
mod domains;
mod folder;
mod origin;
mod pool;
mod reader;
mod zone;

pub(super) use reader::Manifest;
pub use reader::manifest_change;
pub(super) use zone::{Flat, read_master};
