//! The `[domains]` tables.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::document::Document;
use super::folder::Folder;
use super::origin::{Origin, at};
use crate::cli::failure::FileFault;
use crate::cli::names::{BATCH, Listed, parse_list};
use crate::document::Pointer;
use crate::wire::{Apex, Place};

/// The domains that manifests name, by pool.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// The domains of each pool, in the order in which pools were first named.
    pools: Vec<(String, Vec<(Apex, Place)>)>,
    /// Where each domain was named first.
    first: HashMap<Apex, Place>,
}

impl Lists {
    /// Reads the lists of a manifest.
    pub(super) fn read(
        &mut self,
        document: &Document,
        folder: &Folder,
        faults: &mut Vec<FileFault>,
    ) {
        let place = Pointer::root().member("domains");
        let Some(domains) = document.value.get("domains") else {
            return;
        };
        let Some(lists) = domains.as_object() else {
            faults.push(document.fault(&place, "expected a table [domains]"));
            return;
        };
        for (pool, list) in lists {
            let place = place.member(pool);
            for listed in names(list, &place, document, folder, faults) {
                self.take(pool, listed, faults);
            }
        }
    }

    /// Returns the steps that add the domains, each with where it was written.
    pub(super) fn steps(&self) -> impl Iterator<Item = (Value, Origin)> + '_ {
        self.pools.iter().flat_map(|(pool, domains)| {
            domains.chunks(BATCH).map(move |batch| {
                let names: Vec<String> = batch.iter().map(|(name, _)| name.to_api_text()).collect();
                let step = json!({
                    "op": "add_domain", "pool": pool, "names": names, "if_absent": true,
                });
                let names = batch.iter().map(|(_, place)| place.clone()).collect();
                (step, Origin::Domains { names })
            })
        })
    }

    /// Returns the pools that lists are for.
    pub(super) fn pools(&self) -> impl Iterator<Item = &str> {
        self.pools.iter().map(|(pool, _)| pool.as_str())
    }

    /// Returns whether a list names the domain.
    pub(super) fn names(&self, domain: &str) -> bool {
        Apex::parse(domain).is_ok_and(|apex| self.first.contains_key(&apex))
    }

    /// Takes one domain of a list.
    fn take(&mut self, pool: &str, listed: Listed, faults: &mut Vec<FileFault>) {
        let apex = match Apex::parse_unicode(&listed.name) {
            Ok(apex) => apex,
            Err(error) => {
                faults.push(at(&listed.place, &error.to_string()));
                return;
            }
        };
        if let Some(first) = self.first.get(&apex) {
            let detail = format!("{:?} is named twice, first at {first}", apex.to_api_text());
            faults.push(at(&listed.place, &detail));
            return;
        }
        self.first.insert(apex.clone(), listed.place.clone());
        let at = self.pools.iter().position(|(name, _)| name == pool);
        let at = at.unwrap_or_else(|| {
            self.pools.push((pool.to_owned(), Vec::new()));
            self.pools.len() - 1
        });
        self.pools[at].1.push((apex, listed.place));
    }
}

/// What is said of a value that is no list of domains.
const NEITHER: &str = "expected an array of domain names, or { file = \"…\" } alone";

/// Returns the names of one list: written in the manifest, or in a file of their own.
fn names(
    list: &Value,
    place: &Pointer,
    document: &Document,
    folder: &Folder,
    faults: &mut Vec<FileFault>,
) -> Vec<Listed> {
    match list {
        Value::Array(items) => {
            let items = items.iter().enumerate().filter_map(|(index, item)| {
                let place = place.item(index);
                let Value::String(name) = item else {
                    faults.push(document.fault(&place, "expected a domain name as a text"));
                    return None;
                };
                Some(Listed {
                    name: name.clone(),
                    place: Place {
                        file: Some(document.file.to_string()),
                        line: document.line(place.as_str()),
                    },
                })
            });
            items.collect()
        }
        Value::Object(table) => {
            let file = table.get("file").and_then(Value::as_str);
            let Some(file) = file.filter(|_| table.len() == 1) else {
                faults.push(document.fault(place, NEITHER));
                return Vec::new();
            };
            match folder.read(file) {
                Ok(text) => parse_list(&text, &folder.path(file).display().to_string()),
                Err(reason) => {
                    faults.push(document.fault(&place.member("file"), reason));
                    Vec::new()
                }
            }
        }
        _ => {
            faults.push(document.fault(place, NEITHER));
            Vec::new()
        }
    }
}
