//! Whether a folder can be used or made.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;

use nix::unistd::{AccessFlags, eaccess};

/// Says whether a folder can be used, or made under the nearest one that is there; makes nothing.
///
/// # Errors
///
/// What was found in its place.
pub(super) fn usable(path: &Path) -> Result<(), String> {
    let failed =
        |at: &Path, error: &dyn Display| format!("expected a folder, found {at:?}: {error}");
    // A relative path ends at the working folder.
    let above = path.ancestors().map(|above| match above.as_os_str() {
        empty if empty.is_empty() => Path::new("."),
        _ => above,
    });
    for above in above {
        match fs::symlink_metadata(above) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(above, &error)),
            Ok(_) => {}
        }
        // A link that leads nowhere is there and yet is not.
        let found = fs::metadata(above).map_err(|error| failed(above, &error))?;
        if !found.is_dir() {
            return Err(failed(above, &"it is something else"));
        }
        let wanted = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
        return match eaccess(above, wanted) {
            Ok(()) => Ok(()),
            Err(error) if above == path => Err(format!(
                "expected a folder that this user can write to, found {above:?}: {}",
                error.desc()
            )),
            Err(error) => Err(format!(
                "expected a folder, or one that can be made, found {path:?}; {above:?} cannot be \
                 written to: {}",
                error.desc()
            )),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_cannot_be_a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("link");
        std::os::unix::fs::symlink("/no/such/place", &nowhere).unwrap();
        for (path, wanted) in [
            (
                Path::new("/dev/null"),
                "found \"/dev/null\": it is something else".to_owned(),
            ),
            (Path::new("/dev/null/a/b"), "Not a directory".to_owned()),
            (&nowhere.join("a"), format!("found {nowhere:?}: ")),
        ] {
            let error = usable(path).unwrap_err();

            assert!(error.starts_with("expected a folder, "), "{error}");
            assert!(error.contains(&wanted), "{error}");
        }
    }

    #[test]
    fn a_path_that_can_be_made_is_good_and_not_made() {
        let folder = tempfile::tempdir().unwrap();

        assert_eq!(usable(&folder.path().join("a/b/c")), Ok(()));
        assert_eq!(usable(Path::new("no-such-folder/of/ours")), Ok(()));

        assert!(!folder.path().join("a").exists());
    }
}
