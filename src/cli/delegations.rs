//! `delegations`: the registrars' work list.

use serde_json::Value;

use super::client::with_query;
use super::failure::Failure;
use super::output::cell;
use super::pool::items;
use super::run::Desk;

/// Shows what each registrar must still be told.
pub(super) fn run(desk: &Desk, differs: bool, csv: bool) -> Result<(), Failure> {
    let parameters = [
        ("differs", differs.then(|| "true".to_owned())),
        ("format", csv.then(|| "csv".to_owned())),
    ];
    let path = with_query("/v1/delegations".to_owned(), &parameters);
    let answer = desk.client.get(&path)?;
    if csv || desk.output.is_json() {
        return Ok(desk.output.octets(&answer)?);
    }
    let answer = desk.client.json(&answer)?;
    let rows: Vec<Vec<String>> = items(&answer).iter().map(row).collect();
    if rows.is_empty() && differs {
        return Ok(desk.output.text("nothing is to be done at any registrar")?);
    }
    let headings = [
        "DOMAIN",
        "REGISTRAR",
        "TO DO",
        "NS SEEN",
        "DS SEEN",
        "NS",
        "DS",
    ];
    Ok(desk.output.table(&headings, rows)?)
}

/// Returns the row of a domain.
fn row(item: &Value) -> Vec<String> {
    let seen = |what: &str| match item["seen"][what].as_str() {
        Some(seen) => seen.to_owned(),
        None => "unknown".to_owned(),
    };
    let action = match item["action"].as_str() {
        Some(action) => action.to_owned(),
        None => "nothing".to_owned(),
    };
    let ds = item["want"]["ds"].as_array().into_iter().flatten();
    // What a registrar's form asks for: the record without its owner.
    let ds = ds.map(|ds| {
        let of = |key: &str| cell(ds.get(key));
        let [tag, algorithm] = [of("key_tag"), of("algorithm")];
        format!("{tag} {algorithm} {} {}", of("digest_type"), of("digest"))
    });
    vec![
        cell(item.get("name")),
        cell(item.get("registrar")),
        action,
        seen("ns"),
        seen("ds"),
        cell(item["want"].get("ns")),
        ds.collect::<Vec<_>>().join(", "),
    ]
}
