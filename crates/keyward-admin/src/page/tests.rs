//! Reading a page: at once where it is as it should be, and else item by item.

use super::*;
use crate::User;

/// What is read of a page of users, whichever way it goes: each id, or why there is none.
fn read(body: &[u8]) -> (bool, Vec<String>) {
    let fast = decode::fast::<Envelope<Items<User>>>(body);
    let is_fast = fast.is_some();
    let page = fast.map_or_else(|| one_by_one(body, |e| e), Ok).expect("a page");
    let shown = |item: Result<User, Error>| {
        item.map_or_else(|error| error.to_string(), |user| user.id.as_str().to_owned())
    };
    (is_fast, page.data.0.into_iter().map(shown).collect())
}

#[test]
fn a_page_of_too_many_items_is_an_error_however_small_they_are() {
    for item in ["0", "[]", r#"{"id":"user-1"}"#] {
        let page = |items: usize| {
            format!(r#"{{"data":[{}],"has_more":false}}"#, vec![item; items].join(","))
        };
        let (_, items) = read(page(MOST_ITEMS).as_bytes());
        assert_eq!(items.len(), MOST_ITEMS, "{item}");
        for items in [MOST_ITEMS + 1, 3 * MOST_ITEMS] {
            let page = page(items);
            assert!(decode::fast::<Envelope<Items<User>>>(page.as_bytes()).is_none());
            let error = one_by_one::<User>(page.as_bytes(), |e| e).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{item}: {error}");
            assert!(error.to_string().contains(TOO_MANY), "{error}");
        }
    }
}

#[test]
fn what_is_not_utf8_is_a_matter_of_its_item() {
    // A row: the second of three items, and its name, or none where it cannot be read.
    for (item, name) in [
        (&b"{\"id\":\"user-2\",\"name\":\"a\xffb\"}"[..], Some("a\u{fffd}b")),
        (b"{\"id\":\"user-2\",\"name\":\"\xe2\x82\"}", Some("\u{fffd}")),
        (b"{\"id\":\"user-2\",\"name\":\"x\",\"new\":[\"\xc0\x80\"]}", Some("x")),
        (b"{\"name\":\"hidden\xff\"}", None),
        (b"\"\xff\"", None),
    ] {
        let body = [
            b"{\"data\":[{\"id\":\"user-1\"},",
            item,
            b",{\"id\":\"user-3\"}],\"has_more\":false}",
        ]
        .concat();
        let mut page = one_by_one::<User>(&body, |e| e).expect("a page");
        let [first, second, third] = page.data.0.make_contiguous() else {
            panic!("{} items", page.data.0.len())
        };
        for (beside, id) in [(first, "user-1"), (third, "user-3")] {
            assert_eq!(beside.as_ref().expect("a user").id.as_str(), id);
        }
        match (second, name) {
            (Ok(user), name) => assert_eq!(user.name.as_deref(), name),
            (Err(error), None) => {
                assert_eq!(error.kind(), ErrorKind::Drift);
                assert!(error.to_string().contains("data[1]"), "{error}");
                let at = error.drift_offset().expect("an offset");
                let place = 26..26 + item.len() + 1;
                assert!(place.contains(&at), "{at} is not in {place:?}");
            }
            (Err(error), Some(_)) => panic!("{error}"),
        }
    }
    // Beside the items, where the cursor is, and where it is not even JSON.
    for body in [
        &b"{\"data\":[{\"id\":\"user-1\"}],\"last_id\":\"user\xff\",\"has_more\":true}"[..],
        b"{\"data\":[{\"id\":\"user-1\"}\xff],\"has_more\":true}",
    ] {
        let error = one_by_one::<User>(body, |e| e).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Drift, "{error}");
    }
}

// The page of what may hold a key is wiped, and others are not.
const _: () = assert!(crate::RawItem::MAY_HOLD_KEY);
const _: () = assert!(!User::MAY_HOLD_KEY && !crate::AdminApiKey::MAY_HOLD_KEY);

#[test]
fn one_bad_item_is_an_error_in_its_place() {
    // A row: the second of three items, and whether the page is read in one walk.
    for (item, is_fast) in [
        (r#"{"id":"user-2"}"#, true),
        (r#"{"id":"user-2","name":7,"role":{"odd":[1]},"of_next_year":{}}"#, true),
        (r#"{"id":"user-2","name":"\ud83d\ude00"}"#, true),
        (r#"{"name":"nobody"}"#, false),
        (r#"{"id":null}"#, false),
        ("7", false),
        ("null", false),
        (r#""sunshine""#, false),
        ("[[]]", false),
    ] {
        let body =
            format!(r#"{{"data":[{{"id":"user-1"}},{item},{{"id":"user-3"}}],"has_more":false}}"#);
        let (was_fast, read) = read(body.as_bytes());
        assert_eq!(was_fast, is_fast, "{item}");
        assert_eq!((&*read[0], &*read[2]), ("user-1", "user-3"), "{item}");
        if is_fast {
            assert_eq!(read[1], "user-2", "{item}");
        } else {
            assert!(read[1].contains("not the documented shape"), "{item}: {}", read[1]);
            let has_content = read[1].contains("nobody") || read[1].contains("sunshine");
            assert!(!has_content, "{}", read[1]);
        }
    }
}
