//! Holds the listener to `deploy/peers.openapi.json`: it has every path, status, header and field that the file names, and no
//! others.

use std::collections::BTreeSet;

use regex::Regex;

use super::*;

const FILE: &str = include_str!("../../../deploy/peers.openapi.json");

struct Contract(Value);

impl Contract {
    fn read() -> Self {
        Self(serde_json::from_str(FILE).expect("JSON"))
    }

    /// What a value stands for, if it is a reference.
    fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}")),
            None => value,
        }
    }

    fn operation(&self, path: &str) -> &Value {
        &self.0["paths"][path]["post"]
    }

    /// The paths and the statuses that each has.
    fn promised(&self) -> BTreeSet<(String, u16)> {
        let paths = self.0["paths"].as_object().expect("paths");
        let statuses = |path: &String| {
            let responses = self.operation(path)["responses"].as_object().expect("responses");
            responses.keys().map(|status| (path.clone(), status.parse().expect("a status"))).collect::<Vec<_>>()
        };
        paths.keys().flat_map(statuses).collect()
    }

    /// The headers that a request must have.
    fn headers(&self, path: &str) -> Vec<&Value> {
        self.operation(path)["parameters"].as_array().expect("parameters").iter().map(|value| self.resolve(value)).collect()
    }

    /// Whether an answer is as it is promised.
    fn judge(&self, path: &str, answer: &Answer) {
        let promised = self.resolve(&self.operation(path)["responses"][answer.status.to_string()]);
        let content = &promised["content"][&answer.media_type];
        assert!(content.is_object(), "{path} {} {}", answer.status, answer.media_type);
        self.fits(&answer.body, &content["schema"]);
        assert_eq!(promised["headers"]["Peer-Mac"].is_object(), answer.mac.is_some(), "{path} {}", answer.status);
        if let Some(mac) = &answer.mac {
            self.fits(&Value::from(mac.as_str()), &self.resolve(&promised["headers"]["Peer-Mac"])["schema"]);
        }
        if answer.status != 200 {
            let described = promised["description"].as_str().expect("text");
            assert!(described.contains(&format!("`{}`", kind(&answer.body))), "{path} {} {}", answer.status, answer.body);
        }
    }

    /// A value is as its schema says, and has no field that the schema does not name.
    fn fits(&self, value: &Value, schema: &Value) {
        let schema = self.resolve(schema);
        if let Some(words) = schema["enum"].as_array() {
            return assert!(words.contains(value), "{value} is none of {words:?}");
        }
        match schema["type"].as_str().expect("a type") {
            "string" => {
                let text = value.as_str().unwrap_or_else(|| panic!("{value} is no string"));
                let pattern = schema["pattern"].as_str().unwrap_or("");
                assert!(Regex::new(pattern).expect("a pattern").is_match(text), "{text} is not {pattern}");
            }
            "integer" => assert!(value.is_u64(), "{value} is no integer"),
            "boolean" => assert!(value.is_boolean(), "{value} is no boolean"),
            "array" => self.items_fit(value.as_array().unwrap_or_else(|| panic!("{value} is no array")), schema),
            "object" => self.fields_fit(value, schema),
            other => panic!("{other} is no type"),
        }
    }

    fn items_fit(&self, items: &[Value], schema: &Value) {
        match schema["prefixItems"].as_array() {
            Some(schemas) => {
                assert_eq!(items.len(), schemas.len());
                items.iter().zip(schemas).for_each(|(item, schema)| self.fits(item, schema));
            }
            None => items.iter().for_each(|item| self.fits(item, &schema["items"])),
        }
    }

    fn fields_fit(&self, value: &Value, schema: &Value) {
        let fields = value.as_object().unwrap_or_else(|| panic!("{value} is no object"));
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(fields.contains_key(required.as_str().expect("text")), "{value} lacks {required}");
        }
        for (name, field) in fields {
            let known = [&schema["properties"][name], &schema["additionalProperties"]];
            self.fits(
                field,
                known.into_iter().find(|schema| schema.is_object()).unwrap_or_else(|| panic!("{name} is not named")),
            );
        }
    }

    /// A value has every field that its schema names.
    fn is_full(&self, value: &Value, schema: &Value) {
        self.fits(value, schema);
        for name in self.resolve(schema)["properties"].as_object().expect("an object").keys() {
            assert!(!value[name].is_null(), "{value} lacks {name}");
        }
    }
}

fn json_of(packed: &Packed) -> Value {
    serde_json::from_slice(&packed.octets).expect("short enough to be plain")
}

#[test]
fn messages_are_as_the_file_says() {
    let contract = Contract::read();
    let schema = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let zone = ZoneFacts { serial: 1, digest: Digest(2) };
    let facts = Facts {
        region: "eu".into(),
        release: "1".into(),
        zones: [("z".into(), zone)].into(),
        checks: [("web".into(), Digest(3))].into(),
    };
    let greeting = Greeting { end: End { incarnation: Incarnation(1), nonce: Nonce(2) }, facts };
    let hello = json_of(&form::hello(&greeting));
    contract.is_full(&hello, &schema("Hello"));
    contract.is_full(&hello["facts"], &schema("Facts"));
    contract.is_full(&hello["facts"]["zones"]["z"], &schema("ZoneFacts"));
    contract.is_full(&json_of(&form::welcome(1, &greeting)), &schema("Welcome"));
    contract.is_full(&json_of(&form::receipt(Receipt { have: 0 })), &schema("Receipt"));
    let words = [Some(Word::Up), Some(Word::Down), Some(Word::NoWord), None];
    let entries = words.map(|word| Entry { key: CheckKey(7), word, age: Duration::from_millis(1) }).to_vec();
    let whole = Bulletin { entries, blind: true, ..bulletin(Incarnation(1), 1) };
    contract.is_full(&json_of(&form::bulletin(&whole).expect("short")), &schema("Bulletin"));
    let heartbeat = Bulletin { entries: Vec::new(), digest: None, blind: false, ..whole };
    assert_eq!(json_of(&form::bulletin(&heartbeat).expect("short")), json!({ "base": 0, "version": 1 }));
}

/// Every way in which the listener answers, on both paths; each is in the file, and none is in it that was not seen.
#[tokio::test(start_paused = true)]
async fn the_listener_answers_as_the_file_says() {
    let contract = Contract::read();
    let [a, b] = pair(&secrets(&[SECRET]));
    let (mut raw, session) = Raw::session(&b, &a.exchange).await;
    assert_eq!(raw.tell(session, 1, 1).await.status, 200);
    let hello = || json!({ "versions": [1], "incarnation": hex(1), "nonce": hex(2) }).to_string().into_bytes();
    let news = || form::bulletin(&bulletin(session.teller.incarnation, 2)).expect("short").octets;
    let mut next = 1;
    let mut seen = BTreeSet::new();
    for path in [HELLO, BULLETIN] {
        let octets = || if path == HELLO { hello() } else { news() };
        let mut draft = |octets: Vec<u8>| {
            next += 1;
            raw.draft(path, (path == BULLETIN).then_some((session, next)), Packed { gzip: false, octets })
        };
        let short = |mut draft: Draft| {
            draft.body.pop();
            draft
        };
        let mut drafts = vec![
            draft(octets()),
            draft(b"[]".to_vec()),
            draft(octets()).set("peer-from", "z"),
            draft(octets()).set("peer-mac", write_mac(&[7; 32])),
            draft(octets()).set("content-length", "99999999"),
            short(draft(octets())),
        ];
        if path == HELLO {
            drafts.push(draft(json!({ "versions": [9], "incarnation": hex(1), "nonce": hex(2) }).to_string().into_bytes()));
        } else {
            drafts.push(draft(octets()).set("peer-session", hex(9)));
            drafts.push(raw.draft(path, Some((session, 1)), Packed { gzip: false, octets: octets() }));
        }
        for parameter in contract.headers(path) {
            let name = parameter["name"].as_str().expect("text").to_lowercase();
            let whole = draft(octets());
            let (_, value) = whole.headers.iter().find(|(known, _)| *known == name).expect("it is sent");
            let value = value.parse::<u64>().map_or_else(|_| Value::from(value.as_str()), Value::from);
            contract.fits(&value, &parameter["schema"]);
            assert_eq!((&parameter["in"], &parameter["required"]), (&json!("header"), &json!(true)));
            drafts.push(whole.without(&name));
        }
        for draft in drafts {
            let answer = raw.send(draft).await;
            contract.judge(path, &answer);
            seen.insert((path.to_owned(), answer.status));
        }
    }
    b.notes.stopping.store(true, Ordering::Relaxed);
    let answer = raw.tell(session, 99, 3).await;
    contract.judge(BULLETIN, &answer);
    seen.insert((BULLETIN.to_owned(), answer.status));
    assert_eq!(seen, contract.promised());
    for (request, status) in [("GET /peer/v1/hello", 405), ("POST /peer/v2/hello", 404), ("POST /", 404)] {
        let text = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        assert_eq!(play(b.address, text.as_bytes()).await[0].0, status, "{request}");
    }
}
