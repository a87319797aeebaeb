//! `delegations`: the registrars' work list.

use serde_json::Value;

use super::client::with_query;
use super::failure::Failure;
use super::life::{latest, waits_of};
use super::moment::told;
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
        "WHEN",
        "NS SEEN",
        "DS SEEN",
        "NS",
        "DS",
    ];
    Ok(desk.output.table(&headings, rows)?)
}

/// Says when it is to be done, and what is waited for where that is more than time.
fn when(item: &Value) -> String {
    let rules = item["waiting_for"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    match (&item["action"], rules, latest(rules)) {
        (Value::Null, ..) => "-".to_owned(),
        (_, [], _) => "now".to_owned(),
        (_, [_], Some(moment)) => format!("not before {}", told(moment)),
        _ => {
            let name = cell(item.get("name"));
            let waits = rules.iter().map(|rule| waits_of(&name, rule));
            format!("not yet: {}", waits.collect::<Vec<_>>().join("; "))
        }
    }
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
        when(item),
        seen("ns"),
        seen("ds"),
        cell(item["want"].get("ns")),
        ds.collect::<Vec<_>>().join(", "),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_registrar_is_told_when() {
        let item = |waits: Value, action: Value| json!({"action": action, "waiting_for": waits});
        let t0 = |at: Value| json!([{"rule": "T0", "what": "a server lags", "not_before": at}]);
        let set = || json!("set the DS");

        assert_eq!(when(&item(json!([]), set())), "now");
        assert_eq!(when(&item(json!([]), Value::Null)), "-");
        let until = when(&item(t0(json!("2000-01-01T00:00:00Z")), set()));
        assert!(until.starts_with("not before 2000-01-01T00:00:00Z ("));
        assert_eq!(
            when(&item(t0(Value::Null), set())),
            "not yet: T0: a server lags"
        );
    }
}
