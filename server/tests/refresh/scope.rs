//! Lists that are about one distribution point: one of each issuer is in force, and none takes the place of
//! another, or of a complete one, while that counts.

use crate::NOW;
use crate::web::{Reply, Web};
use crate::world::{World, good, list_at};

const HERE: Option<&str> = Some("http://ca.example/1.crl");
const ELSEWHERE: Option<&str> = Some("http://ca.example/2.crl");

#[test]
fn a_crl_of_another_distribution_point_does_not_replace_a_valid_one() {
    let world = World::new();
    let ca = &world.authority;
    let first = list_at(ca, (1, 5), (2021, 2090), HERE);
    let web = Web::new(Reply::List(first.clone()));
    let mut refresh = world.refresh(&[&web.url]);
    refresh.fetch_now().unwrap();
    assert!(world.is_revoked(&refresh, 5) && refresh.is_usable(NOW));
    let log = world.logged();
    assert!(log.contains("covers only certificates that name http://ca.example/1.crl in"), "{log}");

    web.now_says(Reply::List(list_at(ca, (2, 6), (2022, 2090), ELSEWHERE)));
    refresh.fetch_now().unwrap();
    assert!(world.is_revoked(&refresh, 5) && !world.is_revoked(&refresh, 6));
    let log = world.logged();
    assert!(
        log.contains("WARN") && log.contains("rejected: it covers other certificates"),
        "{log}"
    );
    assert!(log.contains("ca.example/2.crl") && world.kept() == first, "{log}");

    // A newer one of the same place is, and then one of all, which none of a part replaces.
    web.now_says(Reply::List(list_at(ca, (2, 7), (2022, 2090), HERE)));
    refresh.fetch_now().unwrap();
    assert!(world.is_revoked(&refresh, 7) && !world.is_revoked(&refresh, 5));
    let all = crate::list(ca, 3, 8, (2023, 2090));
    web.now_says(Reply::List(all.clone()));
    refresh.fetch_now().unwrap();
    web.now_says(Reply::List(list_at(ca, (4, 9), (2024, 2090), HERE)));
    refresh.fetch_now().unwrap();
    assert!(world.is_revoked(&refresh, 8) && !world.is_revoked(&refresh, 9));
    assert_eq!(world.kept(), all);
}

/// The authority has moved its list, or begun to say where it is.
#[test]
fn a_crl_of_another_distribution_point_replaces_an_expired_one() {
    for ended in [HERE, None] {
        let world = World::new();
        let ca = &world.authority;
        let web = Web::new(Reply::List(list_at(ca, (1, 5), (2021, 2022), ended)));
        let mut refresh = world.refresh(&[&web.url]);
        refresh.fetch_now().unwrap();
        world.logged();
        web.now_says(Reply::List(list_at(ca, (2, 6), (2022, 2090), ELSEWHERE)));
        refresh.fetch_now().unwrap();
        assert!(world.is_revoked(&refresh, 6) && !world.is_revoked(&refresh, 5));
        let log = world.logged();
        assert!(log.contains("WARN") && log.contains("also with those that"), "{log}");
    }
}

#[test]
fn the_newest_crl_of_a_file_is_used_and_the_others_are_logged() {
    for older_first in [true, false] {
        let world = World::new();
        let ca = &world.authority;
        let older = list_at(ca, (1, 5), (2021, 2090), HERE);
        let newer = list_at(ca, (2, 6), (2022, 2090), ELSEWHERE);
        let both = if older_first { [older, newer] } else { [newer, older] };
        let refresh = world.refresh(&[]);
        refresh.load(&both.concat(), NOW);
        assert!(world.is_revoked(&refresh, 6) && !world.is_revoked(&refresh, 5));
        assert!(world.logged().contains("WARN"));
        // The administrator has put one of all there.
        refresh.load(&good(ca, 1, 7), NOW);
        assert!(world.is_revoked(&refresh, 6), "an older one");
        refresh.load(&crate::list(ca, 3, 8, (2023, 2090)), NOW);
        assert!(world.is_revoked(&refresh, 8));
    }
}
