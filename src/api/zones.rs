//! `/v1/zones`: the operator's own zones, master file in and out.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{self, Call, Wish, blocking, json as answer, resource, with_tag};
use super::problem::{Kind, Problem};
use super::show;
use super::steps::{Form, Steps};
use crate::document::{Fault, Pointer};
use crate::engine::{Engine, Op};
use crate::wire::{Apex, NoIncludes, Rtype, Ttl, parse_master};
use crate::zone::{ZoneData, export, export_unsigned};

/// The TTL of records that state none.
const DEFAULT_TTL: Ttl = Ttl::from_secs(3_600);
/// Where a text that is the whole body stands.
const BODY: &str = "";

/// Lists the operator's own zones.
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let zones = call.api.engine.view().zones();
    let items: Vec<Value> = zones.iter().map(show::zone).collect();
    Ok(answer(
        StatusCode::OK,
        &json!({"items": items, "next": null}),
    ))
}

/// Returns a zone's master file: the operator's records, or all that is served.
pub(super) async fn show(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["signed"]);
    let signed = params.flag("signed");
    params.finish()?;
    let apex = call.apex("zone")?;
    let zone = call.api.engine.view().zone(&apex);
    let zone = zone.ok_or_else(|| Problem::not_found("zone", call.segment("zone")))?;
    let text = if signed {
        served(&call.api.engine, apex, Served::Signed).await?
    } else {
        let data = zone.data();
        blocking(move || data.to_master()).await?
    };
    Ok(with_tag(call::master_file(text), zone.revision))
}

/// Returns a zone's DS records, DNSKEY, CDS and CDNSKEY.
pub(super) async fn ds(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let apex = call.apex("zone")?;
    let zone = call.api.engine.view().zone(&apex);
    let zone = zone.ok_or_else(|| Problem::not_found("zone", call.segment("zone")))?;
    let document = delegation(&call.api.engine, &apex, show::ds(&apex, &zone.ds)).await?;
    Ok(resource(&call, zone.revision, &document))
}

/// Returns what is known of a zone's keys.
pub(super) async fn keys(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let apex = call.apex("zone")?;
    let zone = call.api.engine.view().zone(&apex);
    let zone = zone.ok_or_else(|| Problem::not_found("zone", call.segment("zone")))?;
    Ok(answer(
        StatusCode::OK,
        &json!({"items": show::keys(&zone.ds), "next": null}),
    ))
}

/// Creates a zone or replaces its records.
pub(super) async fn put(mut call: Call) -> Result<Response, Problem> {
    let params = call.params(&["dry_run", "expect_domains"]);
    let (dry_run, expect_domains) = (params.flag("dry_run"), params.expect_domains());
    params.finish()?;
    let apex = call.apex("zone")?;
    let text = call.master_file().await?;
    let wanted = apex.clone();
    let data = blocking(move || read(&wanted, &text, BODY)).await?;
    let op = Op::PutZone {
        apex: apex.clone(),
        data: data.map_err(Problem::invalid)?,
        if_match: call.if_match()?,
    };
    let existed = call.api.engine.view().zone(&apex).is_some();
    let wish = Wish {
        dry_run,
        expect_domains,
        ..Wish::default()
    };
    let steps = Steps::one(op, Form::Records(Pointer::root()));
    let outcome = call.change(steps, wish).await?;
    let mut document = show::plan(&outcome, dry_run, &[]);
    document["name"] = json!(apex.to_api_text());
    let zone = call.api.engine.view().zone(&apex);
    if let Some(zone) = &zone {
        document["serial"] = json!(zone.serial.number());
        document["ds"] = show::ds(&apex, &zone.ds);
    }
    let status = if existed || dry_run {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let response = answer(status, &document);
    Ok(match zone.filter(|_| !dry_run) {
        Some(zone) => with_tag(response, zone.revision),
        None => response,
    })
}

/// Deletes a zone.
pub(super) async fn delete(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["expect_domains"]);
    let expect_domains = params.expect_domains();
    params.finish()?;
    let op = Op::DeleteZone {
        apex: call.apex("zone")?,
        if_match: call.if_match()?,
    };
    let wish = Wish {
        expect_domains,
        ..Wish::default()
    };
    call.delete(op, wish).await
}

/// Reads a master file that came through the API; nothing can be included.
///
/// Faults stand at `pointer` and begin with their line.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(super) fn read(apex: &Apex, text: &str, pointer: &str) -> Result<ZoneData, Vec<Fault>> {
    let records = parse_master(text, None, apex.as_name(), DEFAULT_TTL, &NoIncludes);
    let records = records.map_err(|errors| {
        let errors = errors.iter();
        errors
            .map(|error| Fault::new(pointer, error.to_string()))
            .collect::<Vec<_>>()
    })?;
    ZoneData::from_master(apex, records).map_err(|errors| {
        let errors = errors.iter();
        errors
            .map(|error| Fault::new(pointer, error.to_string()))
            .collect()
    })
}

/// What of a served zone is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// Everything, signatures and NSEC records, too.
    Signed,
    /// The data alone.
    Data,
}

/// Returns the master file of a zone as it is served.
///
/// # Errors
///
/// 404 for a zone that has gone meanwhile; 500 when the store cannot be read.
pub(super) async fn served(engine: &Engine, apex: Apex, what: Served) -> Result<String, Problem> {
    let engine = engine.clone();
    let text = blocking(move || {
        let name = apex.to_api_text();
        let found = engine.signed_zone(&apex).map_err(|e| internal(&e))?;
        let (zone, template) = found.ok_or_else(|| Problem::not_found("zone", &name))?;
        match what {
            Served::Signed => {
                let full = zone.expand(&template).map_err(|e| internal(&e))?;
                Ok(export(&full))
            }
            Served::Data => {
                let zone = zone.to_unsigned(&template).map_err(|e| internal(&e))?;
                let full = zone.rrsets().map_err(|e| internal(&e))?;
                Ok(export_unsigned(&full))
            }
        }
    });
    text.await?
}

/// Returns what a zone's registrar is told: DS, DNSKEY, CDS and CDNSKEY records.
///
/// # Errors
///
/// As [`served`].
pub(super) async fn delegation(engine: &Engine, apex: &Apex, ds: Value) -> Result<Value, Problem> {
    let (engine, apex) = (engine.clone(), apex.clone());
    let document = blocking(move || {
        let name = apex.to_api_text();
        let found = engine.signed_zone(&apex).map_err(|e| internal(&e))?;
        let (zone, _) = found.ok_or_else(|| Problem::not_found("zone", &name))?;
        let mut document = json!({"name": name, "ds": ds});
        for (key, rtype) in [
            ("dnskey", Rtype::DNSKEY),
            ("cds", Rtype::CDS),
            ("cdnskey", Rtype::CDNSKEY),
        ] {
            let own = zone.own.iter();
            let own = own.filter(|rrset| rrset.rtype == rtype && rrset.owner.is_apex());
            let texts = own.flat_map(|rrset| {
                let data = rrset.rdatas.iter();
                let data = data.filter_map(|rdata| rdata.under(rtype, &apex).ok());
                let texts = data.map(|rdata| {
                    let ttl = rrset.ttl;
                    let text = rdata.to_text(rtype);
                    record(&format!("{apex} {ttl} IN {rtype} {text}"), &text)
                });
                texts.collect::<Vec<_>>()
            });
            document[key] = texts.collect();
        }
        Ok(document)
    });
    document.await?
}

/// Returns a key record as text and fields.
fn record(line: &str, data: &str) -> Value {
    let fields: Vec<&str> = data.splitn(4, ' ').collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    let rest = fields.get(3).map(|rest| rest.replace(' ', ""));
    match line.contains(" CDS ") {
        true => json!({
            "text": line, "key_tag": number(0), "algorithm": number(1),
            "digest_type": number(2), "digest": rest,
        }),
        false => json!({
            "text": line, "flags": number(0), "protocol": number(1),
            "algorithm": number(2), "public_key": rest,
        }),
    }
}

/// Says that reading what is stored failed.
pub(super) fn internal(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "the store cannot be read");
    Problem::new(Kind::Internal, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::edge::tests::Server;

    /// A zone of the operator's.
    const TEXT: &str = "$TTL 1h\n@ SOA ns1 hostmaster 1 2h 1h 4w 15m\n@ NS ns1\nns1 A 192.0.2.53\n";

    /// Puts a master file.
    fn put(server: &Server, text: &str) -> crate::api::edge::tests::Answer {
        let headers = [("content-type", "text/dns")];
        server.send("PUT", "/v1/zones/infra.example", &headers, text)
    }

    #[test]
    fn a_master_file_goes_in_and_comes_out() {
        let server = Server::start();

        let answer = put(&server, TEXT);

        assert_eq!(answer.status, 201, "{answer:?}");
        assert!(answer.json["revision"].is_u64());
        let shown = server.call("GET", "/v1/zones/infra.example", None);
        let text = String::from_utf8(shown.octets).unwrap();
        assert!(
            text.contains("ns1.infra.example.\t3600\tIN\tA\t192.0.2.53"),
            "{text}"
        );
        assert_eq!(put(&server, &text).json["plan"], json!([]));
        let signed = server.call("GET", "/v1/zones/infra.example?signed=true", None);
        assert!(String::from_utf8(signed.octets).unwrap().contains("RRSIG"));
        let ds = server.call("GET", "/v1/zones/infra.example/ds", None);
        assert!(ds.json["ds"][0]["text"].is_string(), "{ds:?}");
        let listed = server.call("GET", "/v1/zones", None);
        assert_eq!(listed.json["items"][0]["name"], "infra.example");
        assert_eq!(
            server
                .call("DELETE", "/v1/zones/infra.example", None)
                .status,
            200
        );
    }

    #[test]
    fn every_wrong_line_is_named() {
        let server = Server::start();
        let text = format!("{TEXT}x CNAM y\ny A 192.0.2.256\n");

        let answer = put(&server, &text);

        assert_eq!(answer.status, 422, "{answer:?}");
        let errors = answer.json["errors"].to_string();
        assert!(
            errors.contains("line 5: ") && errors.contains("line 6: "),
            "{errors}"
        );
    }
}
