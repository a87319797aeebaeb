//! The texts of domains that send mail.

use crate::wire::RelativeName;

/// The DMARC record of domains that never send, and of those that say nothing else: everything
/// unaligned is refused, in subdomains and in names that do not exist, too (RFC 9989).
pub(super) const DMARC: &str = "p=reject; sp=reject; np=reject; adkim=s; aspf=s";

/// Checks an SPF record (RFC 7208, section 4.5, 4.6.4 and 12).
///
/// # Errors
///
/// Says in words what a receiver would stumble over.
pub(super) fn check_spf(text: &str) -> Result<(), String> {
    if !printable(text) {
        return Err("expected printable ASCII in an SPF record (RFC 7208, section 3.1)".to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let mut terms = lower.split_ascii_whitespace();
    if terms.next() != Some("v=spf1") {
        return Err(format!(
            "expected an SPF record beginning with \"v=spf1 \", found {text:?} (RFC 7208, section \
             4.5)"
        ));
    }
    let mut lookups = 0;
    for term in terms {
        let bare = term.trim_start_matches(['+', '-', '~', '?']);
        let end = bare.find([':', '/', '=']).unwrap_or(bare.len());
        match &bare[..end] {
            "include" | "a" | "mx" | "ptr" | "exists" => lookups += 1,
            "redirect" if bare[end..].starts_with('=') => lookups += 1,
            "all" | "ip4" | "ip6" => {}
            // Unknown modifiers are ignored, unknown mechanisms are errors (RFC 7208, section 6).
            _ if bare[end..].starts_with('=') => {}
            unknown => {
                return Err(format!(
                    "expected a mechanism of SPF (all, include, a, mx, ip4, ip6, exists, ptr), found \
                     {unknown:?} (RFC 7208, section 5)"
                ));
            }
        }
    }
    if lookups > 10 {
        return Err(format!(
            "expected at most 10 SPF terms that ask the DNS, found {lookups}: receivers give up \
             (RFC 7208, section 4.6.4)"
        ));
    }
    Ok(())
}

/// Checks a DMARC record without its version and without `rua`.
///
/// # Errors
///
/// Says in words what a receiver would stumble over.
pub(super) fn check_dmarc(text: &str) -> Result<(), String> {
    if !printable(text) {
        return Err("expected printable ASCII in a DMARC record (RFC 9989)".to_owned());
    }
    let mut seen: Vec<String> = Vec::new();
    for tag in text.split(';').map(str::trim).filter(|tag| !tag.is_empty()) {
        let Some((name, value)) = tag.split_once('=') else {
            return Err(format!(
                "expected DMARC tags like \"p=reject\", found {tag:?}"
            ));
        };
        let name = name.trim().to_ascii_lowercase();
        if seen.contains(&name) {
            return Err(format!(
                "expected each DMARC tag once, found {name:?} again (RFC 9989)"
            ));
        }
        match name.as_str() {
            "v" => {
                return Err(
                    "expected DMARC tags without the version, which is put in front, found \
                            \"v=\""
                        .to_owned(),
                );
            }
            "rua" => {
                return Err(
                    "expected DMARC tags without rua, which comes from reports.dmarc".to_owned(),
                );
            }
            "p" | "sp" | "np" if !matches!(value.trim(), "none" | "quarantine" | "reject") => {
                return Err(format!(
                    "expected none, quarantine or reject, found {tag:?} (RFC 9989)"
                ));
            }
            "p" if !seen.is_empty() => {
                return Err(format!(
                    "expected the policy p in front of all other DMARC tags, found it behind \
                     {seen:?}: many receivers skip a record without p right behind its version (RFC \
                     7489, section 6.3)"
                ));
            }
            "adkim" | "aspf" if !matches!(value.trim(), "r" | "s") => {
                return Err(format!(
                    "expected r (relaxed) or s (strict), found {tag:?} (RFC 9989)"
                ));
            }
            // Unknown tags are ignored by receivers.
            _ => {}
        }
        seen.push(name);
    }
    if !seen.iter().any(|name| name == "p") {
        return Err(format!(
            "expected a DMARC policy p=none, p=quarantine or p=reject, found {text:?} (RFC 9989)"
        ));
    }
    Ok(())
}

/// Checks a DKIM selector: one or more host name labels (RFC 6376, section 3.1).
///
/// # Errors
///
/// Says in words what is wrong.
pub(super) fn check_selector(text: &str) -> Result<(), String> {
    let label = |label: &str| {
        let inner = label
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-');
        inner && !label.starts_with('-') && !label.ends_with('-')
    };
    let named = RelativeName::parse(&format!("{text}._domainkey")).is_ok();
    if named && text.split('.').all(label) {
        return Ok(());
    }
    Err(format!(
        "expected a DKIM selector of letters, digits and hyphens, found {text:?} (RFC 6376, section \
         3.1)"
    ))
}

/// Whether a text may stand in a record that receivers read as ASCII.
fn printable(text: &str) -> bool {
    text.bytes().all(|octet| (0x20..0x7f).contains(&octet))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7208_an_spf_record_that_receivers_cannot_use_is_refused() {
        for good in [
            "v=spf1 -all",
            "v=spf1 mx a:mail.example ip4:192.0.2.0/24 ~all",
            "v=spf1 redirect=_spf.example",
        ] {
            assert_eq!(check_spf(good), Ok(()), "{good}");
        }
        let eleven = format!("v=spf1{} -all", " include:a.example".repeat(11));
        for wrong in [
            "",
            "v=spf2 -all",
            "v=spf1 -al",
            "v=spf1 ipv4:192.0.2.1",
            eleven.as_str(),
        ] {
            assert!(check_spf(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rfc9989_a_dmarc_record_without_a_policy_is_refused() {
        assert_eq!(check_dmarc(DMARC), Ok(()));
        assert_eq!(check_dmarc("p=none"), Ok(()));
        for wrong in [
            "",
            "adkim=s",
            "p=deny",
            "v=DMARC1; p=reject",
            "p=reject; rua=mailto:a@b.example",
            "p=reject; aspf=x",
            "reject",
            // Receivers look for p right behind the version, and none takes a tag twice.
            "adkim=s; p=reject",
            "p=reject; p=none",
            "p=reject; sp=none; SP=reject",
        ] {
            assert!(check_dmarc(wrong).is_err(), "{wrong}");
        }
    }
}
