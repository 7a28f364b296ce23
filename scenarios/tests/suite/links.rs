//! What links can be made narrow, and of which the bytes can be changed.

use crate::fixtures::{SMALL, told};
use expect_test::expect;

#[test]
fn bytes_are_changed_only_where_somebody_notices_and_a_narrow_link_carries_something() {
    let tail = r#"
[[fault]]
at = "1s"
for = "1s"
kind = "corrupt"
between = [["store-1"], ["clients-1", "broker-1"]]
[[fault]]
at = "1s"
for = "1s"
kind = "corrupt"
between = [["store-1"]]
[[fault]]
at = "1s"
for = "1s"
kind = "narrow_link"
between = [["store-1"]]
[[fault]]
at = "1s"
for = "1s"
kind = "narrow_link"
between = [["store-1"]]
bandwidth = "64kB/s"
[random_faults]
lead = "1s"
every = "1s"
for = "1s..2s"
kinds = ["corrupt"]
roles = ["auth", "clients"]
"#;
    expect![[r#"
        smoke.toml:15:11: fault.1.between: corrupt cannot hit clients-1: HTTP and WebSockets carry no checksum of their own, so that what arrives changed was sent changed, as far as anybody can tell; frames between gateways, brokers, stores and the notifier do
          15 | between = [["store-1"], ["clients-1", "broker-1"]]
             |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        smoke.toml:19:8: fault.2.kind: a corrupt needs both sides, since among all others are auth and clients, which it cannot hit
          19 | kind = "corrupt"
             |        ^^^^^^^^^
        smoke.toml:24:8: fault.3.kind: a narrow_link needs "bandwidth": a bandwidth from 1KiB/s to 10GiB/s, such as "64KiB/s" or "2MiB/s"
          24 | kind = "narrow_link"
             |        ^^^^^^^^^^^^^
        smoke.toml:31:13: fault.4.bandwidth: expected a bandwidth from 1KiB/s to 10GiB/s, such as "64KiB/s" or "2MiB/s", found "64kB/s"
          31 | bandwidth = "64kB/s"
             |             ^^^^^^^^
        smoke.toml:37:9: random_faults.roles: a corrupt cannot hit any of them: HTTP and WebSockets carry no checksum of their own, so that what arrives changed was sent changed, as far as anybody can tell; frames between gateways, brokers, stores and the notifier do
          37 | roles = ["auth", "clients"]
             |         ^^^^^^^^^^^^^^^^^^^"#]].assert_eq(&told(&format!("{SMALL}{tail}")));
}
