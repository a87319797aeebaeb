//! The folder that what a manifest names lies in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::wire::IncludeSource;

/// The folder of a manifest or a master file: what they name lies in it.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Returns the folder that a file lies in.
    pub(super) fn of(file: &Path) -> Self {
        let parent = file.parent().filter(|parent| *parent != Path::new(""));
        Self(parent.unwrap_or(Path::new(".")).to_owned())
    }

    /// Returns where a file lies that is named relative to the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Reads a file that is named relative to the folder.
    ///
    /// # Errors
    ///
    /// Says which file cannot be read and why.
    pub(super) fn read(&self, name: &str) -> Result<String, String> {
        let path = self.path(name);
        fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
    }
}

impl IncludeSource for Folder {
    /// Reads an included file, if it lies inside the folder: links are followed first.
    fn read(&self, path: &str) -> Result<String, String> {
        let found = self.path(path);
        let unreadable = |error| format!("cannot read {}: {error}", found.display());
        let folder = self.0.canonicalize().map_err(unreadable)?;
        let file = found.canonicalize().map_err(unreadable)?;
        if !file.starts_with(&folder) {
            return Err(format!(
                "{path:?} lies outside of {}, expected a file inside",
                folder.display()
            ));
        }
        fs::read_to_string(&file).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_include_stays_inside_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("zones");
        fs::create_dir(&inside).unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        fs::write(inside.join("part"), "www A 192.0.2.1").unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), inside.join("link")).unwrap();
        let folder = Folder::of(&inside.join("a.toml"));

        assert!(IncludeSource::read(&folder, "part").is_ok());
        for path in ["../secret", "/etc/passwd", "link", "absent"] {
            assert!(IncludeSource::read(&folder, path).is_err(), "{path}");
        }
    }
}
