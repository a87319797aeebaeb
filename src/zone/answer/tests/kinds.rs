//! Of what kind replies are, and what those of one kind are about.

use super::fixture::{Ask, Served};
use crate::wire::Rtype;
use crate::zone::{ResponseClass, Transport};

#[test]
fn replies_about_names_that_can_be_made_up_are_alike() {
    let records = "old DNAME new.test.\nin DNAME new\nnew A 192.0.2.1\n*.w A 192.0.2.2\n\
                   cut NS ns.cut\n";
    let long = "x".repeat(63);
    let served = Served::parse("z.example", records);
    for (above, class) in [
        ("old.z.example", ResponseClass::Wildcard),
        ("in.z.example", ResponseClass::NxDomain),
        ("w.z.example", ResponseClass::Wildcard),
        ("cut.z.example", ResponseClass::Referral),
        ("none.z.example", ResponseClass::NxDomain),
    ] {
        for name in ["a", "b", "a.b", &long] {
            let query = Ask::with_do(&format!("{name}.{above}"), Rtype::A).to_wire();

            let (answered, _) = served.octets(&query, Transport::Udp);

            assert_eq!(answered.class, class, "{name}.{above}");
            let apex = b"\x01z\x07example\x00";
            assert_eq!(answered.subject.of(&query), apex, "{name}.{above}");
        }
    }
    // What is there is as many things as there are.
    let query = Ask::with_do("old.z.example", Rtype::DNAME).to_wire();
    let (answered, _) = served.octets(&query, Transport::Udp);
    assert_eq!(answered.class, ResponseClass::Positive);
}
