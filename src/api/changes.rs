//! `/v1/changes`: any number of steps, all or none.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::adding::{ADD_KEYS, IfThere, read_add};
use super::call::{Call, Wish, blocking, json as answer};
use super::domains;
use super::lives::Verb;
use super::problem::Problem;
use super::rotation::{self, ROTATE_KEYS};
use super::rrsets::{read_owner, read_rrset};
use super::show;
use super::steps::{Form, Place, Steps, whole};
use super::zones;
use crate::document::{Element, Fault, Faults, Fields, Pointer};
use crate::engine::Op;
use crate::mail::PoolSettings;
use crate::wire::Apex;

/// The steps that can be asked for.
const OPS: [&str; 12] = [
    "put_zone",
    "put_pool",
    "add_domain",
    "put_rrset",
    "delete_domain",
    "transition",
    "suspend",
    "resume",
    "hold",
    "unhold",
    "observed",
    "rotate",
];

/// Makes any number of changes, all or none, now or at a moment, or shows what they would do.
pub(super) async fn post(mut call: Call) -> Result<Response, Problem> {
    let query = call.wish()?;
    call.refuse_if_match()?;
    let (document, octets) = call.json().await?;
    let id = call.idempotency(&octets)?;
    // Large master files take their time.
    let read = blocking(move || {
        let faults = Faults::new();
        let read = read(&whole(&document, &faults), query);
        faults.finish(read)
    });
    let (steps, mut wish) = read.await?.map_err(Problem::invalid)?;
    wish.id = id;
    let (dry_run, at) = (wish.dry_run, wish.at);
    if at.is_some() && call.is_waited_for() {
        // Nothing has changed yet: "reached" would be told at once, and be taken for the change's.
        let detail = "expected no wait beside at: the change is made at its moment, not now; \
                      GET /v1/changes/{id} shows what became of it";
        return Err(Problem::invalid(vec![Fault::new("/wait", detail)]));
    }
    let documents = steps.documents();
    let outcome = call.change(steps, wish).await?;
    let mut document = show::plan(&outcome, dry_run, &documents);
    let Some(at) = at else {
        return Ok(answer(StatusCode::OK, &document));
    };
    document["at"] = json!(at.to_string());
    if dry_run {
        return Ok(answer(StatusCode::OK, &document));
    }
    // The revision that accepted it is its id; it makes another one at its moment.
    let id = outcome.revision;
    document["id"] = json!(id);
    let location = [(header::LOCATION, format!("/v1/changes/{id}"))];
    Ok((location, answer(StatusCode::ACCEPTED, &document)).into_response())
}

/// Reads the document: its steps, and what it says of the change beside the query.
fn read(document: &Element<'_, '_>, mut wish: Wish) -> Option<(Steps, Wish)> {
    let fields = document.fields(&["at", "changes", "dry_run", "reason"])?;
    wish.read(&fields);
    let at = fields.optional("at").map(|at| at.parsed());
    let mut steps = Steps::default();
    let list = fields.required("changes")?;
    let changes = list.array()?;
    if changes.is_empty() {
        list.refuse("expected at least one step, found none");
        return None;
    }
    // Each is read before any is judged, so that all faults are found.
    let read: Vec<Option<()>> = changes
        .iter()
        .enumerate()
        .map(|(index, change)| read_step(change, index, &mut steps))
        .collect();
    let read: Option<Vec<()>> = read.into_iter().collect();
    read?;
    wish.at = match at {
        Some(at) => Some(at?),
        None => None,
    };
    Some((steps, wish))
}

/// Reads one step; it may stand for many of the engine's.
fn read_step(change: &Element<'_, '_>, index: usize, steps: &mut Steps) -> Option<()> {
    let op = change.value().get("op").and_then(|op| op.as_str());
    let place = |form: Form| Place {
        step: index,
        document: change.pointer().clone(),
        form,
    };
    match op {
        Some("put_zone") => {
            let fields = change.fields(&["op", "zone", "records"])?;
            let op = read_zone(&fields)?;
            let records = change.pointer().member("records");
            steps.push(op, place(Form::Records(records)));
        }
        Some("put_pool") => {
            let fields = change.fields(&["op", "pool", "settings"])?;
            let op = read_pool(&fields)?;
            let settings = change.pointer().member("settings");
            steps.push(op, place(Form::Settings(settings)));
        }
        Some("add_domain") => {
            let known: Vec<&str> = ADD_KEYS.into_iter().chain(["op", "if_absent"]).collect();
            let fields = change.fields(&known)?;
            let if_there = if fields.or("if_absent", false, |flag| flag.boolean()) {
                IfThere::Pass
            } else {
                IfThere::Refuse
            };
            read_add(&fields, steps, index, if_there)?;
        }
        Some("put_rrset") => {
            let fields =
                change.fields(&["op", "domain", "name", "owner", "type", "ttl", "records"])?;
            let op = read_put_rrset(&fields)?;
            steps.push(op, place(Form::Plain));
        }
        Some("delete_domain") => {
            let fields = change.fields(&["op", "domain", "name", "force"])?;
            let force = fields.or("force", false, |flag| flag.boolean());
            let name = read_domain(&fields)?;
            let op = Op::DeleteDomain {
                name,
                force,
                if_match: None,
            };
            steps.push(op, place(Form::Plain));
        }
        Some("rotate") => {
            let known: Vec<&str> = ROTATE_KEYS.into_iter().chain(["op", "pool"]).collect();
            let fields = change.fields(&known)?;
            let pool = fields.required("pool").and_then(|pool| pool.text())?;
            let op = rotation::read(&fields, pool, None)?;
            steps.push(op, place(Form::Plain));
        }
        Some(other) => {
            let mut verbs = Verb::ALL.into_iter();
            let Some(verb) = verbs.find(|verb| verb.name() == other) else {
                refuse_op(change);
                return None;
            };
            let keys = verb.keys().iter().copied();
            let known: Vec<&str> = keys.chain(["op", "domain", "name"]).collect();
            let fields = change.fields(&known)?;
            let name = read_domain(&fields);
            let op = verb.read(&fields, name?, None)?;
            steps.push(op, place(Form::Plain));
        }
        None => {
            refuse_op(change);
            return None;
        }
    }
    Some(())
}

/// Reads the domain of a step: `domain`, or `name` as in other documents.
fn read_domain(fields: &Fields<'_, '_>) -> Option<Apex> {
    let domain = fields
        .optional("name")
        .or_else(|| fields.required("domain"));
    let (name, _) = domains::read_name(&domain?)?;
    Some(name)
}

/// Notes that a step is none that can be asked for.
fn refuse_op(change: &Element<'_, '_>) {
    let Some(found) = change.value().get("op") else {
        let detail = format!(
            "expected an object with op ({}), found none",
            OPS.join(", ")
        );
        change.faults().note(&change.pointer().member("op"), detail);
        return;
    };
    let detail = format!(
        "the op {found} is not known, expected one of {}",
        OPS.join(", ")
    );
    change.faults().note(&change.pointer().member("op"), detail);
}

/// Reads a step that puts one of the operator's zones.
fn read_zone(fields: &Fields<'_, '_>) -> Option<Op> {
    let zone = fields.required("zone");
    let zone = zone.and_then(|zone| domains::read_name(&zone));
    let records = fields.required("records")?;
    let text = records.text();
    let (apex, _) = zone?;
    match zones::read(&apex, text?, "") {
        Ok(data) => Some(Op::PutZone {
            apex,
            data,
            if_match: None,
        }),
        Err(faults) => {
            note_below(&records, records.pointer(), faults);
            None
        }
    }
}

/// Reads a step that puts a pool.
fn read_pool(fields: &Fields<'_, '_>) -> Option<Op> {
    let name = fields.required("pool").and_then(|pool| pool.text());
    let settings = fields.required("settings")?;
    match PoolSettings::from_document(settings.value()) {
        Ok(read) => Some(Op::PutPool {
            name: name?.to_owned(),
            settings: Box::new(read),
            if_match: None,
        }),
        Err(faults) => {
            note_below(&settings, settings.pointer(), faults);
            None
        }
    }
}

/// Reads a step that gives a domain an RRset of its own.
fn read_put_rrset(fields: &Fields<'_, '_>) -> Option<Op> {
    let domain = read_domain(fields);
    let owner = fields.required("owner");
    let rtype = fields.required("type").and_then(|rtype| rtype.parsed());
    let domain = domain?;
    let owner = owner.and_then(|owner| {
        let read = read_owner(owner.text()?, &domain);
        read.map_err(|error| owner.refuse(error)).ok()
    });
    let rrset = read_rrset(fields, &domain, owner?, rtype?)?;
    Some(Op::PutRrset {
        domain,
        rrset,
        if_match: None,
    })
}

/// Notes the faults of an inner document.
fn note_below(element: &Element<'_, '_>, prefix: &Pointer, faults: Vec<Fault>) {
    for fault in faults {
        let fault = fault.below(prefix);
        element.faults().push(fault);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::edge::tests::{Server, settings};

    /// A change of every kind of step.
    fn change() -> Value {
        json!({"changes": [
            {"op": "put_zone", "zone": "infra.example",
             "records": "@ SOA ns1 h 1 2h 1h 4w 15m\n@ NS ns1\nns1 A 192.0.2.53\nns2 A 192.0.2.54\n"},
            {"op": "put_pool", "pool": "main", "settings": settings()},
            {"op": "add_domain", "pool": "main", "names": ["a.example", "b.example"]},
            {"op": "put_rrset", "domain": "a.example", "owner": "www", "type": "A", "ttl": 60,
             "records": ["192.0.2.7"]},
        ]})
    }

    #[test]
    fn all_steps_take_effect_in_one_revision() {
        let server = Server::start();
        let mut dry = change();
        dry["dry_run"] = json!(true);

        let planned = server.call("POST", "/v1/changes", Some(&dry));
        let nothing = server.call("GET", "/v1/pools", None);
        let done = server.call("POST", "/v1/changes", Some(&change()));

        assert_eq!(planned.status, 200, "{planned:?}");
        assert_eq!(planned.json["created"], 2);
        assert_eq!(nothing.json["items"], json!([]));
        assert_eq!(done.status, 200, "{done:?}");
        let steps = done.json["plan"].as_array().unwrap().iter();
        let steps: Vec<u64> = steps
            .map(|effect| effect["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, [0, 1, 2, 2, 3]);
        let domain = server.call("GET", "/v1/domains/a.example", None).json;
        assert_eq!(domain["revision"], done.json["revision"]);
        assert_eq!(domain["rrsets"][0]["records"], json!(["192.0.2.7"]));
    }

    #[test]
    fn the_same_again_changes_nothing() {
        let server = Server::start();
        let mut change = change();
        change["changes"][2]["if_absent"] = json!(true);
        let first = server.call("POST", "/v1/changes", Some(&change));

        let again = server.call("POST", "/v1/changes", Some(&change));

        assert_eq!(again.status, 200, "{again:?}");
        assert_eq!(again.json["plan"], json!([]));
        assert_eq!(again.json["revision"], first.json["revision"]);
        let audit = server.call("GET", "/v1/audit", None).json;
        assert_eq!(audit["items"].as_array().unwrap().len(), 1);
        assert_eq!(audit["items"][0]["actor"], "admin");
    }

    #[test]
    fn every_fault_of_every_step_is_named_and_nothing_is_done() {
        let server = Server::start();
        let mut change = change();
        change["changes"][0]["records"] = json!("@ SOA ns1 h 1 2h 1h 4w 15m\n@ NS ns1\nx CNAM y\n");
        change["changes"][1]["settings"]["ttl"] = json!("soon");
        change["changes"][2]["names"][1] = json!("b..example");
        change["changes"][3]["records"][0] = json!("192.0.2.700");
        change["at"] = json!("tomorrow");
        change["changes"]
            .as_array_mut()
            .unwrap()
            .push(json!({"op": "shuffle"}));

        let answer = server.call("POST", "/v1/changes", Some(&change));

        assert_eq!(answer.status, 422, "{answer:?}");
        let wrong = [
            "/at",
            "/changes/0/records",
            "/changes/1/settings/ttl",
            "/changes/2/names/1",
            "/changes/3/records/0",
            "/changes/4/op",
        ];
        assert_eq!(answer.pointers(), wrong.map(str::to_owned).into());
        assert!(answer.json.to_string().contains("line 3: "), "{answer:?}");
        assert_eq!(
            server.call("GET", "/v1/zones", None).json["items"],
            json!([])
        );
    }

    #[test]
    fn a_change_without_steps_is_refused() {
        let server = Server::start();

        let answer = server.call("POST", "/v1/changes", Some(&json!({"changes": []})));

        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(answer.pointers(), ["/changes".to_owned()].into());
    }

    #[test]
    fn a_domain_that_is_refused_is_not_missed_by_its_records() {
        let server = Server::with_pool();
        let change = json!({"changes": [
            {"op": "add_domain", "pool": "other", "name": "a.example"},
            {"op": "put_rrset", "domain": "a.example", "owner": "www", "type": "A", "ttl": 60,
             "records": ["192.0.2.7"]},
        ]});

        let answer = server.call("POST", "/v1/changes", Some(&change));

        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(answer.pointers(), ["/changes/0/pool".to_owned()].into());
    }

    #[test]
    fn what_the_engine_refuses_is_named_where_it_stands() {
        let server = Server::start();
        let mut change = change();
        change["changes"][2]["names"] = json!(["a.example", "x.a.example"]);
        change["changes"][3]["type"] = json!("RRSIG");
        change["changes"][3]["records"] = json!(["\\# 0"]);

        let answer = server.call("POST", "/v1/changes", Some(&change));

        assert!(matches!(answer.status, 409 | 422), "{answer:?}");
        assert!(!answer.pointers().is_empty(), "{answer:?}");
        assert!(
            answer
                .pointers()
                .iter()
                .all(|at| at.starts_with("/changes/")),
            "{answer:?}"
        );
    }
}
