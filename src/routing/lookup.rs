//! What is answered to one request.

use std::str;
use std::sync::Arc;

use crate::mail::{Route, RoutingAnswer, RoutingReader};
use crate::metrics::{Metrics, RoutingMap, RoutingResult};
use crate::wire::Name;

use super::address::{Address, read_domain};
use super::netstring;

/// A recipient that is taken: nothing is said against it, and nothing less specific is asked.
const DUNNO: &[u8] = b"DUNNO";

/// Mail that is refused for now (RFC 3463, section 3.3: mailbox disabled).
const LATER: &[u8] = b"450 4.2.1 This domain takes no mail at present; try again later";

/// Mail that is refused for good (RFC 7505, section 4.2; RFC 7504, section 4).
const NEVER: &[u8] = b"556 5.1.10 This domain takes no mail";

/// A request for a map that there is none of.
const UNKNOWN_MAP: &[u8] = b"expected one of the maps domains and recipients, and a key";

/// A request that is longer than any address.
const TOO_LONG: &[u8] = b"expected at most 4096 octets in a request";

/// Answers requests.
#[derive(Clone)]
pub(super) struct Lookup {
    /// What is accepted.
    routes: RoutingReader,
    /// What is counted.
    metrics: Arc<Metrics>,
}

impl Lookup {
    /// Takes what there is to ask and where it is counted.
    pub(super) fn new(routes: RoutingReader, metrics: Arc<Metrics>) -> Self {
        Self { routes, metrics }
    }

    /// Appends the reply to a request.
    pub(super) fn answer(&self, request: &[u8], out: &mut Vec<u8>) {
        let space = request.iter().position(|octet| *octet == b' ');
        let (map, key) = match space {
            Some(at) => (&request[..at], &request[at + 1..]),
            None => (request, [].as_slice()),
        };
        let (map, result) = match (map, space) {
            (b"domains", Some(_)) => (RoutingMap::Domains, self.domain(key, out)),
            (b"recipients", Some(_)) => (RoutingMap::Recipients, self.recipient(key, out)),
            _ => {
                perm(out, UNKNOWN_MAP);
                (RoutingMap::Unknown, RoutingResult::Error)
            }
        };
        self.metrics.routing_lookup(map, result);
    }

    /// Appends the reply to a request that is too long to be read.
    pub(super) fn too_long(&self, out: &mut Vec<u8>) {
        perm(out, TOO_LONG);
        let (map, result) = (RoutingMap::Unknown, RoutingResult::Error);
        self.metrics.routing_lookup(map, result);
    }

    /// Answers whether a domain's mail is for us.
    fn domain(&self, key: &[u8], out: &mut Vec<u8>) -> RoutingResult {
        let name = str::from_utf8(key).ok().and_then(read_domain);
        let route = name.and_then(|name| self.route(name));
        match route {
            Some(route) if route.answer != RoutingAnswer::Gone => {
                found(out, key);
                result_of(route.answer)
            }
            _ => not_found(out),
        }
    }

    /// Answers what becomes of mail to a recipient.
    fn recipient(&self, key: &[u8], out: &mut Vec<u8>) -> RoutingResult {
        let Some(address) = str::from_utf8(key).ok().and_then(Address::read) else {
            return not_found(out);
        };
        let is_office = address.is_office();
        let Some(route) = self.route(address.domain) else {
            return not_found(out);
        };
        let answer = match route.answer {
            RoutingAnswer::Later | RoutingAnswer::Never if route.postmaster && is_office => {
                RoutingAnswer::Accept
            }
            answer => answer,
        };
        match answer {
            RoutingAnswer::Accept => found(out, DUNNO),
            RoutingAnswer::Later => found(out, LATER),
            RoutingAnswer::Never => found(out, NEVER),
            RoutingAnswer::Gone => return not_found(out),
        }
        result_of(answer)
    }

    /// Returns what is accepted for a name: its own route, or that of the nearest domain above it,
    /// if that speaks for the names below.
    fn route(&self, name: Name) -> Option<Route> {
        if let Some(route) = self.routes.get(&name) {
            return Some(route);
        }
        let mut above = name.parent();
        while let Some(name) = above {
            if let Some(route) = self.routes.get(&name) {
                return route.subdomains.then_some(route);
            }
            above = name.parent();
        }
        None
    }
}

/// Appends a reply with a value.
fn found(out: &mut Vec<u8>, value: &[u8]) {
    netstring::append(out, &[b"OK ", value]);
}

/// Appends the reply that there is no value.
fn not_found(out: &mut Vec<u8>) -> RoutingResult {
    netstring::append(out, &[b"NOTFOUND "]);
    RoutingResult::NotFound
}

/// Appends the reply that the request will never be answered.
fn perm(out: &mut Vec<u8>, reason: &[u8]) {
    netstring::append(out, &[b"PERM ", reason]);
}

/// Returns what is counted for an answer.
fn result_of(answer: RoutingAnswer) -> RoutingResult {
    match answer {
        RoutingAnswer::Accept => RoutingResult::Accept,
        RoutingAnswer::Later => RoutingResult::Later,
        RoutingAnswer::Never => RoutingResult::Never,
        RoutingAnswer::Gone => RoutingResult::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::super::netstring::{Frame, first};
    use super::super::tests::routes;
    use super::*;

    /// Returns the reply to a request.
    fn ask(request: &[u8]) -> String {
        let (_publisher, reader) = routes();
        let lookup = Lookup::new(reader, Arc::default());
        let mut out = Vec::new();
        lookup.answer(request, &mut out);
        let Frame::Whole { request, taken } = first(&out) else {
            panic!("one netstring: {out:?}");
        };
        assert_eq!(taken, out.len());
        String::from_utf8_lossy(request).into_owned()
    }

    #[test]
    fn l8_domains_are_ours_until_they_are_gone() {
        for (key, expected) in [
            ("accept.example", "OK accept.example"),
            ("ACCEPT.example", "OK ACCEPT.example"),
            ("later.example", "OK later.example"),
            ("never.example", "OK never.example"),
            ("gone.example", "NOTFOUND "),
            ("other.example", "NOTFOUND "),
            ("sub.accept.example", "NOTFOUND "),
            ("wide.example", "OK wide.example"),
            ("a.b.wide.example", "OK a.b.wide.example"),
            ("narrow.wide.example", "OK narrow.wide.example"),
            ("sub.narrow.wide.example", "NOTFOUND "),
            (".wide.example", "NOTFOUND "),
            ("example", "NOTFOUND "),
            ("bob@accept.example", "NOTFOUND "),
            ("[192.0.2.1]", "NOTFOUND "),
            ("", "NOTFOUND "),
            (".", "NOTFOUND "),
            (" accept.example", "NOTFOUND "),
        ] {
            assert_eq!(ask(format!("domains {key}").as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn a8_l6_recipients_get_their_domains_answer() {
        let later = format!("OK {}", str::from_utf8(LATER).unwrap());
        let never = format!("OK {}", str::from_utf8(NEVER).unwrap());
        for (key, expected) in [
            ("bob@accept.example", "OK DUNNO"),
            ("\"a@b\"@accept.example", "OK DUNNO"),
            ("bob@later.example", &later),
            ("Postmaster@later.example", "OK DUNNO"),
            ("abuse@LATER.example", "OK DUNNO"),
            ("bob@never.example", &never),
            ("\"ABUSE\"@never.example", "OK DUNNO"),
            ("bob@strict.example", &never),
            ("postmaster@strict.example", &never),
            ("bob@gone.example", "NOTFOUND "),
            ("postmaster@gone.example", "NOTFOUND "),
            ("bob@other.example", "NOTFOUND "),
            ("postmaster@other.example", "NOTFOUND "),
            ("bob@sub.accept.example", "NOTFOUND "),
            ("bob@a.wide.example", &later),
            ("postmaster@a.wide.example", "OK DUNNO"),
            ("bob@[192.0.2.1]", "NOTFOUND "),
        ] {
            let found = ask(format!("recipients {key}").as_bytes());
            assert_eq!(found, expected, "{key}");
        }
    }

    #[test]
    fn less_specific_keys_of_postfix_get_no_verdict() {
        for key in ["never.example", "example", ".example", "bob@", "bob", ""] {
            let found = ask(format!("recipients {key}").as_bytes());
            assert_eq!(found, "NOTFOUND ", "{key}");
        }
        assert_eq!(ask(b"recipients \xff@never.example"), "NOTFOUND ");
        let long = format!("recipients {}@never.example", "a".repeat(4_000));
        assert_eq!(
            ask(long.as_bytes()),
            format!("OK {}", str::from_utf8(NEVER).unwrap())
        );
    }

    #[test]
    fn what_is_no_request_for_a_map_is_refused() {
        for request in [
            b"".as_slice(),
            b"domains",
            b"recipients",
            b"aliases x",
            b" domains x",
            b"DOMAINS x",
        ] {
            let found = ask(request);
            assert!(
                found.starts_with("PERM expected one of the maps"),
                "{found}"
            );
        }
    }

    #[test]
    fn look_ups_are_counted_by_map_and_result() {
        let (_publisher, reader) = routes();
        let metrics: Arc<Metrics> = Arc::default();
        let lookup = Lookup::new(reader, metrics.clone());
        for request in [
            "domains later.example",
            "recipients bob@later.example",
            "recipients abuse@later.example",
            "recipients later.example",
            "aliases x",
        ] {
            lookup.answer(request.as_bytes(), &mut Vec::new());
        }
        lookup.too_long(&mut Vec::new());

        let text = metrics.render();
        for (map, result, count) in [
            ("domains", "later", 1),
            ("domains", "accept", 0),
            ("recipients", "later", 1),
            ("recipients", "accept", 1),
            ("recipients", "notfound", 1),
            ("unknown", "error", 2),
        ] {
            let line = format!(
                "mxpool_routing_lookups_total{{map=\"{map}\",result=\"{result}\"}} {count}"
            );
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
