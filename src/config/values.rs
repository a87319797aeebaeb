//! What one entry means, whatever setting it is of.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::routing::RoutingListen;

use super::entries::{Entry, Value};
use super::folder::usable;

/// More threads than this on one address is a typing error.
const MOST_WORKERS: i64 = 1_024;

/// How the path of a socket begins.
const UNIX: &str = "unix:";

/// The longest path of a socket (`unix(7)`: 108 octets with the final zero).
const LONGEST_SOCKET: usize = 107;

/// Reads a list with at least one item; a variable's may be parted by commas alone.
pub(super) fn list(entry: &Entry) -> Result<Vec<Entry>, String> {
    let items = match &entry.value {
        Value::List(items) => items.clone(),
        Value::Variable(text) => text
            .split(',')
            .map(|item| Entry {
                place: entry.place.clone(),
                value: Value::Text(item.trim().to_owned()),
            })
            .collect(),
        other => {
            return Err(format!(
                "expected a list of addresses, found {}",
                show(other)
            ));
        }
    };
    if items.is_empty() {
        return Err("expected at least one address, found an empty list".to_owned());
    }
    Ok(items)
}

/// Reads a text.
pub(super) fn text(entry: &Entry) -> Result<&str, String> {
    match &entry.value {
        Value::Text(text) | Value::Variable(text) => Ok(text),
        other => Err(format!("expected a text in quotes, found {}", show(other))),
    }
}

/// Reads a number of workers.
pub(super) fn number(entry: &Entry) -> Result<usize, String> {
    let wanted = || format!("expected a number from 0 to {MOST_WORKERS} (0: one per core)");
    let number = match &entry.value {
        Value::Number(number) => Some(*number),
        Value::Variable(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .filter(|number| *number <= MOST_WORKERS)
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("{}, found {}", wanted(), show(&entry.value)))
}

/// Reads an address with a port.
pub(super) fn address(entry: &Entry) -> Result<SocketAddr, String> {
    let text = text(entry)?;
    text.parse().map_err(|_| {
        format!("expected an address with a port like \"127.0.0.1:5300\" or \"[::1]:5300\", found {text:?}")
    })
}

/// Reads an address that only this machine reaches.
pub(super) fn loopback(entry: &Entry) -> Result<SocketAddr, String> {
    let address = address(entry)?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "expected a loopback address (127.0.0.0/8 or [::1]), found {address}: the API has no \
             TLS, and its token must not cross a network in the clear"
        ));
    }
    Ok(address)
}

/// Reads where mail hosts ask: the path of a socket, or an address that only this machine reaches.
pub(super) fn routing_listen(entry: &Entry) -> Result<RoutingListen, String> {
    let text = text(entry)?;
    let Some(path) = text.strip_prefix(UNIX) else {
        let address: SocketAddr = text.parse().map_err(|_| {
            format!(
                "expected the path of a socket like \"unix:run/routing.sock\" or a loopback address \
                 with a port like \"127.0.0.1:5310\", found {text:?}"
            )
        })?;
        if !address.ip().is_loopback() {
            return Err(format!(
                "expected a loopback address (127.0.0.0/8 or [::1]) or the path of a socket, found \
                 {address}: look-ups are neither signed nor secret"
            ));
        }
        return Ok(RoutingListen::Tcp(address));
    };
    if path.is_empty() || path.ends_with('/') || path.contains('\0') {
        return Err(format!(
            "expected the path of a socket behind {UNIX:?}, found {text:?}"
        ));
    }
    if path.len() > LONGEST_SOCKET {
        return Err(format!(
            "expected a path of at most {LONGEST_SOCKET} octets, as no socket can have a longer \
             one, found {}",
            path.len()
        ));
    }
    let path = PathBuf::from(path);
    if path.is_dir() {
        return Err(format!(
            "expected the path of a socket, found {path:?}: it is a folder"
        ));
    }
    if let Some(folder) = path.parent() {
        usable(folder)?;
    }
    Ok(RoutingListen::Unix(path))
}

/// Reads the path of a folder that is there or can be made.
pub(super) fn folder(entry: &Entry) -> Result<PathBuf, String> {
    let text = text(entry)?;
    if text.is_empty() {
        return Err("expected the path of a folder, found an empty text".to_owned());
    }
    let path = PathBuf::from(text);
    usable(&path)?;
    Ok(path)
}

/// Reads one of a few words.
pub(super) fn parsed<T: FromStr<Err: Display>>(entry: &Entry) -> Result<T, String> {
    text(entry)?
        .parse()
        .map_err(|error: T::Err| error.to_string())
}

/// Shows what was found.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Variable(text) => format!("{text:?}"),
        Value::Number(number) => number.to_string(),
        Value::Flag(_) => "a boolean".to_owned(),
        Value::List(items) if items.is_empty() => "an empty list".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Other(what) => with_article(what),
    }
}

/// Puts the article before what TOML calls a value.
pub(super) fn with_article(what: &str) -> String {
    match what {
        "integer" | "array" => format!("an {what}"),
        _ => format!("a {what}"),
    }
}
