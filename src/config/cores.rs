//! The cores that UDP threads run on.

use crate::server::check_cores;

use super::entries::{Entry, Value};
use super::reader::Reader;
use super::values::show;

/// The core with the greatest number that a set of them can have.
const LAST: usize = 1_023;

/// What a list of cores looks like.
const WANTED: &str = "expected a list of cores like [0, 1]";

impl Reader<'_> {
    /// Reads the cores by their numbers, as the system counts them: each once, and such that this
    /// process may use them. Each wrong one is a problem at its place.
    pub(super) fn cores(&mut self) -> Option<Vec<usize>> {
        let items = self.get("dns", "cores", items)?;
        Some(self.each("dns", "cores", items, |item, known| {
            let core = core(item)?;
            if known.contains(&core) {
                return Err(format!("expected each core once, found {core} again"));
            }
            check_cores(&[core]).map_err(|error| error.to_string())?;
            Ok(core)
        }))
    }
}

/// Reads a list with at least one item; a variable's may be parted by commas, or be one alone.
fn items(entry: &Entry) -> Result<Vec<Entry>, String> {
    let items = match &entry.value {
        Value::List(items) => items.clone(),
        Value::Variable(text) => {
            let items = text.split(',').map(str::trim);
            let items = items.map(|item| Entry {
                place: entry.place.clone(),
                value: Value::Variable(item.to_owned()),
            });
            items.collect()
        }
        _ => Vec::new(),
    };
    if items.is_empty() {
        return Err(format!("{WANTED}, found {}", show(&entry.value)));
    }
    Ok(items)
}

/// Reads the number of a core.
fn core(item: &Entry) -> Result<usize, String> {
    let number = match &item.value {
        Value::Number(number) => usize::try_from(*number).ok(),
        Value::Variable(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|core| *core <= LAST).ok_or_else(|| {
        let found = show(&item.value);
        format!("{WANTED}, each from 0 to {LAST}, found {found}")
    })
}
