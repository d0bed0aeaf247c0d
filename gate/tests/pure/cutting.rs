//! Who was cut off, and who was let in once.

use sknock_gate::{Cuts, Former, Holder, Label, Name, Serial, Transport, Way};

fn way(port: u16) -> Way {
    Way { address: "192.0.2.7".parse().unwrap(), transport: Transport::Tcp, port }
}

fn holder(serial: u8) -> Holder {
    Holder { issuer: *b"CA01CA01CA01", serial: Serial::new(&[serial]).unwrap() }
}

fn label(serial: u8) -> Label {
    Label { knock: [serial; 8], holder: holder(serial), name: Name::cut("alice") }
}

#[test]
fn of_too_many_cuts_the_oldest_end_and_are_named() {
    let mut cuts = Cuts::default();
    assert_eq!(cuts.add(&[way(1), way(2), way(3)], 3), []);
    // Cut again is not cut anew.
    assert_eq!(cuts.add(&[way(1)], 3), []);
    assert_eq!(cuts.add(&[way(4)], 3), [way(1)]);
    cuts.remove(&[way(2), way(9)]);
    assert_eq!(cuts.all().collect::<Vec<_>>(), [way(3), way(4)]);
    let many: Vec<Way> = (10..20).map(way).collect();
    assert_eq!(cuts.add(&many, 3).len(), 9);
    assert_eq!(cuts.all().collect::<Vec<_>>(), many[7..]);
    cuts.retain(|way| way.port == 18);
    assert_eq!(cuts.all().collect::<Vec<_>>(), [way(18)]);
}

#[test]
fn of_too_many_former_grants_the_oldest_are_forgotten() {
    let mut former = Former::default();
    for port in [1, 2, 1, 3] {
        former.keep(label(1), way(port), 3, 3);
    }
    former.keep(label(2), way(1), 3, 3);
    assert_eq!(former.of(&holder(1)).into_iter().collect::<Vec<_>>(), [way(1), way(3)]);
    assert_eq!(former.of(&holder(2)).len(), 1);
    former.forget(&holder(1));
    assert_eq!((former.len(), former.of(&holder(1)).len(), former.of(&holder(2)).len()), (1, 0, 1));
}

#[test]
fn who_was_let_in_very_often_has_nobody_else_forgotten() {
    let mut former = Former::default();
    former.keep(label(2), way(1), 10, 4);
    for port in 1..=100 {
        former.keep(label(1), way(port), 10, 4);
    }
    assert_eq!((former.len(), former.of(&holder(2)).len()), (10, 1));
    // Who has less than a share needs no leave of the others: the oldest go, whose they are.
    for port in 1..=4 {
        former.keep(label(3), way(port), 10, 4);
    }
    assert_eq!(former.of(&holder(3)).len(), 4);
    assert_eq!(former.len(), 10);
}
