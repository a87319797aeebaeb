//! Several manifests, read as one change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::{Value, json};

use super::document::Document;
use super::domains::Lists;
use super::folder::Folder;
use super::origin::Origin;
use super::{pool, zone};
use crate::cli::failure::{Failure, FileFault};
use crate::document::Pointer;

/// Several manifests, read as one.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    /// The steps of the change: zones before pools before domains.
    steps: Vec<Value>,
    /// Where each step was written.
    origins: Vec<Origin>,
    /// The domains that are named.
    lists: Lists,
    /// The pools that have a table.
    pools: Vec<String>,
    /// What is wrong with the files themselves.
    faults: Vec<FileFault>,
}

/// The tables of a manifest.
const TABLES: [&str; 3] = ["zone", "pool", "domains"];

/// Reads the text of a manifest as `apply` does, and returns the body of the API's call.
///
/// # Errors
///
/// Everything that is wrong with it, each with its place.
pub fn manifest_change(file: &Path, text: &str) -> Result<Value, Vec<String>> {
    let manifest = Manifest::read_texts(&[(file.to_owned(), text.to_owned())]);
    if manifest.faults.is_empty() {
        return Ok(manifest.change(false));
    }
    Err(manifest.faults.iter().map(FileFault::to_string).collect())
}

impl Manifest {
    /// Reads manifests and the files that they name.
    ///
    /// What is wrong with them is kept, so that it can be shown together with what the server
    /// finds: see [`Manifest::faults`].
    ///
    /// # Errors
    ///
    /// When one of `files` itself cannot be read.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self, Failure> {
        let read = |file: &PathBuf| {
            let text = fs::read_to_string(file);
            text.map(|text| (file.clone(), text))
                .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))
        };
        let texts: Vec<_> = files.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self::read_texts(&texts))
    }

    /// Reads the texts of manifests, and the files that they name.
    fn read_texts(texts: &[(PathBuf, String)]) -> Self {
        let mut manifest = Self::default();
        let mut documents = Vec::new();
        for (file, text) in texts {
            let shown = file.display().to_string();
            let document = Document::parse(&shown, text, &mut manifest.faults);
            documents.push((Rc::new(document), Folder::of(file)));
        }
        for (document, _) in &documents {
            manifest.refuse_unknown_tables(document);
        }
        manifest.read_zones(&documents);
        manifest.read_pools(&documents);
        for (document, folder) in &documents {
            manifest.lists.read(document, folder, &mut manifest.faults);
        }
        let (steps, origins): (Vec<_>, Vec<_>) = manifest.lists.steps().unzip();
        manifest.steps.extend(steps);
        manifest.origins.extend(origins);
        manifest
    }

    /// Returns what is wrong with the files themselves.
    pub(crate) fn faults(&self) -> &[FileFault] {
        &self.faults
    }

    /// Returns whether there is nothing to be done.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the body of the API's call that makes it so.
    pub(crate) fn change(&self, dry_run: bool) -> Value {
        json!({"changes": self.steps, "dry_run": dry_run})
    }

    /// Returns the pools that the manifests speak of.
    pub(crate) fn pools(&self) -> Vec<&str> {
        let mut pools: Vec<&str> = self.pools.iter().map(String::as_str).collect();
        pools.extend(self.lists.pools());
        pools.sort_unstable();
        pools.dedup();
        pools
    }

    /// Returns whether a list names the domain.
    pub(crate) fn names(&self, domain: &str) -> bool {
        self.lists.names(domain)
    }

    /// Returns where a fault that the server found was written; `None` for one of no step.
    pub(crate) fn locate(&self, pointer: &str, detail: &str) -> Option<FileFault> {
        let (index, rest) = match pointer.strip_prefix("/changes/")?.split_once('/') {
            Some((index, rest)) => (index, format!("/{rest}")),
            None => (pointer.strip_prefix("/changes/")?, String::new()),
        };
        let origin = self.origins.get(index.parse::<usize>().ok()?)?;
        Some(origin.locate(&rest, detail))
    }

    /// Notes tables that no manifest has.
    fn refuse_unknown_tables(&mut self, document: &Document) {
        for key in document.value.keys() {
            if !TABLES.contains(&key.as_str()) {
                let detail = format!("unknown table {key:?}, known are zone, pool and domains");
                let place = Pointer::root().member(key);
                self.faults.push(document.fault(&place, detail));
            }
        }
    }

    /// Reads the zones of all manifests.
    fn read_zones(&mut self, documents: &[(Rc<Document>, Folder)]) {
        for (name, document, folder) in self.tables("zone", documents) {
            let read = zone::read(&name, &document, &folder, &mut self.faults);
            if let Some((step, origin)) = read {
                self.steps.push(step);
                self.origins.push(origin);
            }
        }
    }

    /// Reads the pools of all manifests.
    fn read_pools(&mut self, documents: &[(Rc<Document>, Folder)]) {
        for (name, document, folder) in self.tables("pool", documents) {
            let (step, origin) = pool::read(&name, &document, &folder, &mut self.faults);
            self.steps.push(step);
            self.origins.push(origin);
            self.pools.push(name);
        }
    }

    /// Returns the tables of one kind, each with its manifest; none twice.
    fn tables(
        &mut self,
        kind: &str,
        documents: &[(Rc<Document>, Folder)],
    ) -> Vec<(String, Rc<Document>, Folder)> {
        let mut found: BTreeMap<String, (Rc<Document>, Folder)> = BTreeMap::new();
        for (document, folder) in documents {
            let place = Pointer::root().member(kind);
            let tables = match document.value.get(kind) {
                None => continue,
                Some(Value::Object(tables)) => tables,
                Some(_) => {
                    let detail = format!("expected tables [{kind}.<name>]");
                    self.faults.push(document.fault(&place, detail));
                    continue;
                }
            };
            for name in tables.keys() {
                let place = place.member(name);
                if let Some((first, _)) = found.get(name) {
                    let line = first.line(place.as_str());
                    let detail = format!(
                        "the {kind} {name:?} is described twice, first at {}:{line}",
                        first.file
                    );
                    self.faults.push(document.fault(&place, detail));
                    continue;
                }
                found.insert(name.clone(), (Rc::clone(document), folder.clone()));
            }
        }
        let found = found.into_iter();
        found
            .map(|(name, (document, folder))| (name, document, folder))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes files into a folder of the test's own and reads the manifests among them.
    fn read(files: &[(&str, &str)]) -> (Manifest, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let manifests = files.iter().map(|(name, _)| folder.path().join(name));
        let manifests: Vec<PathBuf> = manifests
            .filter(|file| file.extension().is_some_and(|kind| kind == "toml"))
            .collect();
        (Manifest::read(&manifests).unwrap(), folder)
    }

    /// Returns file names and lines of faults.
    fn places(faults: &[FileFault]) -> Vec<(&str, u32)> {
        let faults = faults.iter();
        faults
            .map(|fault| (fault.file.rsplit('/').next().unwrap(), fault.line))
            .collect()
    }

    #[test]
    fn zones_come_before_pools_before_domains() {
        let (manifest, _folder) = read(&[
            (
                "a.toml",
                "[domains]\nmain = { file = 'names.txt' }\n[pool.main]\nttl = '1h'\n",
            ),
            ("b.toml", "[zone.'infra.example']\nrecords = ''\n"),
            ("names.txt", "Burner.Example.\n# remark\nbücher.example\n"),
        ]);

        assert_eq!(manifest.faults(), []);
        let change = manifest.change(true);
        let ops: Vec<&str> = change["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["op"].as_str().unwrap())
            .collect();
        assert_eq!(ops, ["put_zone", "put_pool", "add_domain"]);
        let names = &change["changes"][2]["names"];
        assert_eq!(*names, json!(["burner.example", "xn--bcher-kva.example"]));
        assert!(manifest.names("burner.example") && !manifest.names("other.example"));
    }

    #[test]
    fn all_problems_of_all_files_come_at_once_with_their_lines() {
        let (manifest, _folder) = read(&[
            (
                "a.toml",
                "[pools.main]\n\n[[pool.main.mail_host]]\nname = 'mx1'\ncertificates = [\n'absent.pem']\n",
            ),
            (
                "b.toml",
                "[domains]\nmain = ['a.example', 'a..example',\n'A.example']\n[zone.'x.example']\nfil = 'x'\n",
            ),
        ]);

        let mut found = places(manifest.faults());
        found.sort_unstable();
        let expected = [
            ("a.toml", 1),
            ("a.toml", 6),
            ("b.toml", 2),
            ("b.toml", 3),
            ("b.toml", 4),
            ("b.toml", 5),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_server_finds_is_shown_where_it_was_written() {
        let (manifest, _folder) = read(&[(
            "a.toml",
            "[pool.main]\nttl = '1h'\n\n[[pool.main.mail_host]]\nname = 'mx1'\n[domains]\nmain = ['a.example',\n'b.example']\n",
        )]);

        let setting = manifest.locate("/changes/0/settings/mail_host/0/name", "is an alias");
        let domain = manifest.locate("/changes/1/names/1", "is taken");

        let setting = setting.unwrap();
        assert_eq!(setting.line, 5);
        assert_eq!(setting.detail, "mail_host.0.name: is an alias");
        assert_eq!(domain.unwrap().line, 8);
        assert_eq!(manifest.locate("/dry_run", "?"), None);
    }

    #[test]
    fn a_pool_in_two_files_is_refused_with_both_places() {
        let (manifest, _folder) = read(&[
            ("a.toml", "[pool.main]\nttl = '1h'\n"),
            ("b.toml", "\n[pool.main]\nttl = '2h'\n"),
        ]);

        assert_eq!(places(manifest.faults()), [("b.toml", 2)]);
        let detail = &manifest.faults()[0].detail;
        assert!(detail.ends_with("a.toml:1"), "{detail}");
    }
}
