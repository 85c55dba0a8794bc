//! Whatever is granted, taken back and asked: a search returns what the caller may read, no more and no
//! less. The oracle is a few nested loops over the same story.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use breezeway::parts::{
    auth::NewAccount,
    core::{
        AccessGrant, CollectionId, FileId, Grantee, GroupId, KeyRules, Permission, Principal, Role, UserId,
    },
    knowledge::{CollectionChange, NewCollection, Upload, Wanted},
    retrieval::{Leg, Question},
};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use crate::{
    harness::{Client, PASSWORD, TestServer},
    sweeps::processed,
};

const PLAIN: usize = 3;
/// The admin, behind the plain accounts.
const ADMIN: usize = PLAIN;
const GROUPS: usize = 2;
const COLLECTIONS: usize = 3;
const FILES: usize = 5;

/// A line of an access list.
#[derive(Clone, Debug)]
enum Who {
    Everyone,
    User(usize),
    Group(usize),
}

#[derive(Clone, Copy, Debug)]
enum Thing {
    File(usize),
    Collection(usize),
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Share {
        collection: usize,
        lines: Vec<(Who, bool)>,
    },
    Join {
        user: usize,
        group: usize,
        is_in: bool,
    },
    Hold {
        collection: usize,
        file: usize,
        is_in: bool,
    },
    /// `key` narrows the caller to collections.
    Ask {
        user: usize,
        things: Vec<Thing>,
        key: Option<BTreeSet<usize>>,
    },
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![Just(Who::Everyone), (0..PLAIN).prop_map(Who::User), (0..GROUPS).prop_map(Who::Group),]
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![(0..FILES).prop_map(Thing::File), (0..COLLECTIONS).prop_map(Thing::Collection)]
}

fn step() -> impl Strategy<Value = Step> {
    let lines = proptest::collection::vec((who(), any::<bool>()), 0..3);
    let key = proptest::option::weighted(0.3, proptest::collection::btree_set(0..COLLECTIONS, 0..3));
    prop_oneof![
        2 => (0..COLLECTIONS, lines).prop_map(|(collection, lines)| Step::Share { collection, lines }),
        1 => (0..PLAIN, 0..GROUPS, any::<bool>())
            .prop_map(|(user, group, is_in)| Step::Join { user, group, is_in }),
        2 => (0..COLLECTIONS, 0..FILES, proptest::bool::weighted(0.7))
            .prop_map(|(collection, file, is_in)| Step::Hold { collection, file, is_in }),
        4 => (0..=ADMIN, proptest::collection::vec(thing(), 1..5), key)
            .prop_map(|(user, things, key)| Step::Ask { user, things, key }),
    ]
}

/// The story as the oracle knows it.
struct Oracle {
    file_owners: Vec<usize>,
    collection_owners: Vec<usize>,
    lines: Vec<Vec<(Who, bool)>>,
    members: Vec<BTreeSet<usize>>,
    holds: Vec<BTreeSet<usize>>,
}

impl Oracle {
    fn reads_collection(&self, user: usize, key: Option<&BTreeSet<usize>>, collection: usize) -> bool {
        let granted = self.lines[collection].iter().any(|(who, _)| match who {
            Who::Everyone => true,
            Who::User(other) => *other == user,
            Who::Group(group) => self.members[*group].contains(&user),
        });
        key.is_none_or(|key| key.contains(&collection))
            && (user == ADMIN || self.collection_owners[collection] == user || granted)
    }

    fn reads_file(&self, user: usize, key: Option<&BTreeSet<usize>>, file: usize) -> bool {
        let mut holders = (0..COLLECTIONS).filter(|&collection| self.holds[collection].contains(&file));
        if user == ADMIN || self.file_owners[file] == user {
            return key.is_none_or(|key| holders.any(|collection| key.contains(&collection)));
        }
        holders.any(|collection| self.reads_collection(user, key, collection))
    }

    /// The files behind a thing, or `None` if it is not for the caller.
    fn files_of(&self, user: usize, key: Option<&BTreeSet<usize>>, thing: Thing) -> Option<BTreeSet<usize>> {
        match thing {
            Thing::File(file) => self.reads_file(user, key, file).then(|| BTreeSet::from([file])),
            Thing::Collection(collection) => {
                self.reads_collection(user, key, collection).then(|| self.holds[collection].clone())
            }
        }
    }
}

/// The same story in a gateway.
struct World {
    server: TestServer,
    users: Vec<(UserId, Client)>,
    groups: Vec<GroupId>,
    collections: Vec<CollectionId>,
    files: Vec<FileId>,
    oracle: Oracle,
}

impl World {
    async fn new(file_owners: Vec<usize>, collection_owners: Vec<usize>) -> Self {
        let mut server = TestServer::start().await;
        server.run();
        let admin = server.sign_up("root").await;
        let (auth, library) = (server.breezeway.auth(), server.breezeway.library());
        let mut users = Vec::new();
        for number in 0..PLAIN {
            let new = NewAccount {
                email: format!("user{number}@example.org"),
                name: format!("user{number}"),
                password: PASSWORD.into(),
                role: Role::User,
                profile_image_url: None,
            };
            let session = auth.add_account(new).await.unwrap();
            users.push((session.account.id, server.stranger().with_token(session.token.expose())));
        }
        users.push((admin.id.parse().unwrap(), admin.clone()));
        let caller = |user: usize| auth.local_principal(&users[user].0).unwrap();
        let mut groups = Vec::new();
        for _ in 0..GROUPS {
            groups.push(auth.create_group(&users[ADMIN].0, "group", "").await.unwrap().id.clone());
        }
        let mut collections = Vec::new();
        for owner in &collection_owners {
            let new = NewCollection {
                name: "notes".to_owned(),
                description: String::new(),
                grants: Default::default(),
            };
            collections.push(library.create_collection(&caller(*owner), new).await.unwrap().id);
        }
        let mut files = Vec::new();
        for (number, owner) in file_owners.iter().enumerate() {
            let upload = Upload {
                name: format!("file{number}.txt"),
                media_type: "text/plain".to_owned(),
                process: true,
                metadata: Default::default(),
                into: None,
            };
            let text = Bytes::from(format!("The lighthouse number {number} has a keeper of its own."));
            files.push(library.add_material(&caller(*owner), upload, text).await.unwrap().id);
        }
        for file in &files {
            processed(&admin, file.as_str()).await;
        }
        let oracle = Oracle {
            file_owners,
            collection_owners,
            lines: vec![Vec::new(); COLLECTIONS],
            members: vec![BTreeSet::new(); GROUPS],
            holds: vec![BTreeSet::new(); COLLECTIONS],
        };
        Self { server, users, groups, collections, files, oracle }
    }

    fn caller(&self, user: usize) -> Principal {
        self.server.breezeway.auth().local_principal(&self.users[user].0).unwrap()
    }

    async fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let (auth, library) = (self.server.breezeway.auth(), self.server.breezeway.library());
        let root = self.caller(ADMIN);
        match step {
            Step::Share { collection, lines } => {
                let grants = lines.iter().map(|(who, writes)| AccessGrant {
                    grantee: match who {
                        Who::Everyone => Grantee::Everyone,
                        Who::User(user) => Grantee::User(self.users[*user].0.clone()),
                        Who::Group(group) => Grantee::Group(self.groups[*group].clone()),
                    },
                    permission: if *writes { Permission::Write } else { Permission::Read },
                });
                let change =
                    CollectionChange { grants: Some(grants.collect()), ..CollectionChange::default() };
                library.update_collection(&root, &self.collections[collection], change).await.unwrap();
                self.oracle.lines[collection] = lines;
            }
            Step::Join { user, group, is_in } => {
                let (them, nobody) = (BTreeSet::from([self.users[user].0.clone()]), BTreeSet::new());
                let (added, removed) = if is_in { (them, nobody) } else { (nobody, them) };
                auth.change_members(&self.groups[group], added, removed).await.unwrap();
                let members = &mut self.oracle.members[group];
                let _ = if is_in { members.insert(user) } else { members.remove(&user) };
            }
            Step::Hold { collection, file, is_in } => {
                let held = &mut self.oracle.holds[collection];
                let (collection, id) = (&self.collections[collection], &self.files[file]);
                if is_in {
                    library.add_to_collection(&root, collection, std::slice::from_ref(id)).await.unwrap();
                    held.insert(file);
                } else if held.remove(&file) {
                    library.remove_from_collection(&root, collection, id).await.unwrap();
                }
            }
            Step::Ask { user, things, key } => {
                self.ask_inside(user, &things, key.as_ref()).await?;
                self.ask_outside(user, &things).await?;
            }
        }
        Ok(())
    }

    /// As a chat asks: what is not the caller's is passed over.
    async fn ask_inside(
        &self,
        user: usize,
        things: &[Thing],
        key: Option<&BTreeSet<usize>>,
    ) -> Result<(), TestCaseError> {
        let allowed = |key: &BTreeSet<usize>| KeyRules {
            collections: Some(key.iter().map(|&number| self.collections[number].to_string()).collect()),
            ..KeyRules::default()
        };
        let caller = Principal { rules: key.map(|key| Arc::new(allowed(key))), ..self.caller(user) };
        let mut files = Vec::new();
        for thing in things {
            let wanted = match thing {
                Thing::File(file) => Wanted::File(self.files[*file].clone()),
                Thing::Collection(collection) => Wanted::Collection(self.collections[*collection].clone()),
            };
            files.extend(self.server.breezeway.library().searchable(&caller, &wanted).await.unwrap());
        }
        let question = Question {
            text: "lighthouse".to_owned(),
            files,
            limit: 50,
            min_similarity: 0.0,
            legs: Leg::Lexical,
            ..Question::default()
        };
        let answer = self.server.breezeway.retriever().search(question).await.unwrap();

        let found: BTreeSet<&FileId> = answer.passages.iter().map(|passage| &passage.chunk.file).collect();
        let expected: BTreeSet<usize> =
            things.iter().filter_map(|thing| self.oracle.files_of(user, key, *thing)).flatten().collect();
        let expected: BTreeSet<&FileId> = expected.into_iter().map(|number| &self.files[number]).collect();
        prop_assert_eq!(found, expected);
        Ok(())
    }

    /// As a client asks: what is not the caller's is refused, all of it.
    async fn ask_outside(&self, user: usize, things: &[Thing]) -> Result<(), TestCaseError> {
        let names: Vec<String> = things
            .iter()
            .map(|thing| match thing {
                Thing::File(file) => format!("file-{}", self.files[*file]),
                Thing::Collection(collection) => self.collections[*collection].to_string(),
            })
            .collect();
        let body = json!({"collection_names": names, "query": "lighthouse", "k": 50});
        let answer = self.users[user].1.post("/api/v1/retrieval/query/collection", body).await;

        let expected: Option<Vec<BTreeSet<usize>>> =
            things.iter().map(|thing| self.oracle.files_of(user, None, *thing)).collect();
        let Some(expected) = expected else {
            prop_assert_eq!(answer.status, 403);
            return Ok(());
        };
        prop_assert_eq!(answer.status, 200, "{}", answer.summary());
        let answer = answer.json();
        let metadata = answer["metadatas"][0].as_array().cloned().unwrap_or_default();
        let found: BTreeMap<String, ()> =
            metadata.iter().map(|it| (it["file_id"].as_str().unwrap().to_owned(), ())).collect();
        let expected: BTreeMap<String, ()> =
            expected.into_iter().flatten().map(|number| (self.files[number].to_string(), ())).collect();
        prop_assert_eq!(found, expected);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_search_finds_what_the_caller_may_read(
        file_owners in proptest::collection::vec(0..=ADMIN, FILES),
        collection_owners in proptest::collection::vec(0..=ADMIN, COLLECTIONS),
        steps in proptest::collection::vec(step(), 10..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(file_owners, collection_owners).await;
            for step in steps {
                world.take(step).await?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }
}
