/// The layouts that zone images share, each kept for as long as an image uses it.
#[derive(Debug, Default)]
pub struct Layouts {}

impl Layouts {
    /// Returns an empty collection.
    pub fn new() -> Self {
        Self::default()
    }
}
