//! The cores that UDP threads run on.

use super::entries::{Entry, Value};
use super::settings::show;

/// The core with the greatest number that a set of them can have.
const LAST: usize = 1_023;

/// Reads a list of cores by their numbers, as the system counts them; each once.
pub(super) fn cores(entry: &Entry) -> Result<Vec<usize>, String> {
    let wanted = "expected a list of cores like [0, 1]";
    let items: Vec<Value> = match &entry.value {
        Value::List(items) => items.iter().map(|item| item.value.clone()).collect(),
        // A variable without brackets may be parted by commas, or be one number.
        Value::Variable(text) => {
            let items = text.split(',').map(str::trim);
            items.map(|item| Value::Variable(item.to_owned())).collect()
        }
        _ => Vec::new(),
    };
    if items.is_empty() {
        return Err(format!("{wanted}, found {}", show(&entry.value)));
    }
    let mut cores = Vec::new();
    for item in items {
        let number = match &item {
            Value::Number(number) => usize::try_from(*number).ok(),
            Value::Variable(text) => text.parse().ok(),
            _ => None,
        };
        let Some(core) = number.filter(|core| *core <= LAST) else {
            return Err(format!(
                "{wanted}, each from 0 to {LAST}, found {}",
                show(&item)
            ));
        };
        if cores.contains(&core) {
            return Err(format!("expected each core once, found {core} again"));
        }
        cores.push(core);
    }
    Ok(cores)
}
