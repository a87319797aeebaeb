//! The MTA-STS policy as each policy host serves it (RFC 8461, section 3.3).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::{Fact, OTHER_POLICY, PolicyQuestion};
use crate::wire::Apex;

use super::WatchConfig;
use super::https::{Fetch, FetchError, Fetched, fetch};
use super::tls::Tls;

/// The octets that a policy may have: senders read no more (RFC 8461, section 3.3).
const LARGEST: usize = 65_536;

/// Fetches policies as senders do.
pub(super) struct Policies {
    /// Takes the policy hosts' certificates.
    tls: Arc<Tls>,
    /// The port of policy hosts.
    port: u16,
    /// How long one waits for a policy.
    patience: Duration,
}

impl Policies {
    /// Fetches as the configuration says.
    pub(super) fn new(config: &WatchConfig, tls: Arc<Tls>) -> Self {
        Self {
            tls,
            port: config.ports.https,
            patience: config.limits.https_timeout,
        }
    }

    /// Returns whether every policy host serves the policy; nothing where one gives no answer.
    pub(super) async fn look(&self, apex: &Apex, wanted: &PolicyQuestion) -> Vec<Fact> {
        let host = format!("mta-sts.{}", apex.to_api_text());
        let mut all = true;
        let (mut tried, mut other) = (false, false);
        for address in &wanted.addresses {
            let address = SocketAddr::new(*address, self.port);
            let fetched = self.fetch(address, &host).await;
            if fetched.as_ref().is_err_and(FetchError::is_ours) {
                tracing::debug!(%apex, policy_host = %address, "there is no route to a policy host");
                continue;
            }
            tried = true;
            let is_answer = fetched
                .as_ref()
                .map_or_else(FetchError::is_answer, |_| true);
            let problem = match fetched {
                Ok(fetched) => difference(&fetched, &wanted.text),
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                tracing::debug!(%apex, policy_host = %address, problem, "the policy is not served");
                all = false;
                other |= is_answer;
            }
        }
        match (all && tried, other) {
            (true, _) => vec![Fact::Policy(wanted.id.clone())],
            // What a sender would stumble over is seen otherwise; a silent host is unknown.
            (false, true) => vec![Fact::Policy(OTHER_POLICY.to_owned())],
            (false, false) => Vec::new(),
        }
    }

    /// Fetches the policy from one host.
    async fn fetch(&self, address: SocketAddr, host: &str) -> Result<Fetched, FetchError> {
        let what = Fetch {
            address,
            host,
            path: "/.well-known/mta-sts.txt",
            token: None,
            largest: LARGEST,
        };
        fetch(&what, Some(self.tls.strict()), self.patience).await
    }
}

/// Says how what is served differs from what is wanted.
fn difference(fetched: &Fetched, wanted: &str) -> Option<String> {
    if fetched.media_type != "text/plain" {
        let found = &fetched.media_type;
        return Some(format!("expected media type text/plain, found {found:?}"));
    }
    let Ok(found) = std::str::from_utf8(&fetched.body) else {
        return Some("expected a text, found other octets".to_owned());
    };
    // Both ends of lines are allowed (RFC 8461, section 3.2).
    let mut lines = found.trim_end().lines();
    for wanted in wanted.trim_end().lines() {
        match lines.next() {
            Some(found) if found.trim_end() == wanted.trim_end() => {}
            found => {
                let found = found.unwrap_or("the end");
                return Some(format!("expected the line {wanted:?}, found {found:?}"));
            }
        }
    }
    lines
        .next()
        .map(|found| format!("expected the end, found {found:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(media_type: &str, found: &str) -> bool {
        let fetched = Fetched {
            media_type: media_type.to_owned(),
            body: found.into(),
        };
        difference(
            &fetched,
            "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n",
        )
        .is_some()
    }

    #[test]
    fn s3_s4_the_same_lines_as_text_are_the_policy() {
        let text = "version: STSv1\nmode: none\nmax_age: 86400";

        assert!(!differs("text/plain", text));
        assert!(!differs("text/plain", &text.replace('\n', "\r\n")));
        assert!(differs("text/html", text));
        assert!(differs("text/plain", "version: STSv1\nmode: none"));
        assert!(differs("text/plain", &format!("{text}\nmx: a.example")));
        assert!(differs("text/plain", &text.replace("none", "enforce")));
    }
}
