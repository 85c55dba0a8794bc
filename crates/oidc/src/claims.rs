//! From claims to a person.

use breezeway_auth::{ExternalPerson, ExternalRole, ProviderError};
use breezeway_core::Role;
use serde_json::{Map, Value};

use crate::OidcConfig;

/// Everything a provider says about somebody.
pub(crate) type Claims = Map<String, Value>;

/// A claim by its name, or by the way to it if no claim has that whole name.
fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    let found = claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, step| value.get(step))
    });
    found.filter(|value| !value.is_null())
}

/// A claim that is one text. Directories like to put the one address of somebody into a list.
fn text(claims: &Claims, name: &str) -> Option<String> {
    let value = claim(claims, name)?;
    let text = value.as_str().or_else(|| value.get(0)?.as_str())?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A claim that is a list: one of JSON, or a text with commas; `None` if it is not there at all.
fn list(claims: &Claims, name: &str) -> Option<Vec<String>> {
    let words = match claim(claims, name)? {
        Value::Array(values) => values.iter().filter_map(word).collect(),
        Value::String(text) => text.split(',').map(|word| word.trim().to_owned()).collect(),
        other => word(other).into_iter().collect::<Vec<_>>(),
    };
    Some(words.into_iter().filter(|word| !word.is_empty()).collect())
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Some providers write truths as texts.
fn is_true(value: Option<&Value>) -> Option<bool> {
    match value? {
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => Some(text.eq_ignore_ascii_case("true")),
        _ => None,
    }
}

/// Whether the claims leave out something that the userinfo endpoint may know.
pub(crate) fn lacks_something(config: &OidcConfig, claims: &Claims) -> bool {
    let roles = config.roles.as_ref().map(|mapping| mapping.claim.as_str());
    let wanted = [Some(config.claims.email.as_str()), Some(config.claims.name.as_str()), roles];
    let mut wanted = wanted.into_iter().chain([config.groups_claim.as_deref()]).flatten();
    wanted.any(|name| claim(claims, name).is_none())
}

/// Who somebody is, by claims that have been verified.
pub(crate) fn person(
    config: &OidcConfig,
    provider: &str,
    claims: &Claims,
) -> Result<ExternalPerson, ProviderError> {
    let missing = |name: &str| ProviderError::Missing(name.to_owned());
    let subject = claims.get("sub").and_then(Value::as_str).ok_or_else(|| missing("sub"))?;
    let email = text(claims, &config.claims.email).ok_or_else(|| missing(&config.claims.email))?;
    let verified = is_true(claims.get("email_verified"));
    check_domain(config, &email, verified)?;
    Ok(ExternalPerson {
        provider: provider.to_owned(),
        subject: subject.to_owned(),
        email,
        email_verified: verified == Some(true),
        name: text(claims, &config.claims.name),
        picture: text(claims, &config.claims.picture),
        role: role(config, claims),
        groups: config.groups_claim.as_deref().and_then(|name| list(claims, name)),
    })
}

/// An address that its owner could have made up proves no domain.
fn check_domain(config: &OidcConfig, email: &str, verified: Option<bool>) -> Result<(), ProviderError> {
    if config.allows_all_domains() {
        return Ok(());
    }
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    let is_listed = config.allowed_domains.iter().any(|listed| listed.trim().eq_ignore_ascii_case(domain));
    match verified {
        Some(false) => Err(ProviderError::DomainNotAllowed),
        _ if is_listed => Ok(()),
        _ => Err(ProviderError::DomainNotAllowed),
    }
}

fn role(config: &OidcConfig, claims: &Claims) -> ExternalRole {
    let Some(mapping) = &config.roles else { return ExternalRole::Unmanaged };
    let theirs = list(claims, &mapping.claim).unwrap_or_default();
    let has_one_of = |ours: &[String]| ours.iter().any(|role| theirs.contains(role));
    if has_one_of(&mapping.admin) {
        ExternalRole::Is(Role::Admin)
    } else if has_one_of(&mapping.user) {
        ExternalRole::Is(Role::User)
    } else {
        ExternalRole::Default
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::RoleMapping;

    fn config() -> OidcConfig {
        OidcConfig {
            roles: Some(RoleMapping {
                claim: "realm_access.roles".into(),
                user: vec!["user".into(), "7".into()],
                admin: vec!["boss".into()],
            }),
            groups_claim: Some("groups".into()),
            ..OidcConfig::new("http://id.example/d", "client")
        }
    }

    fn described(claims: &Value) -> Result<ExternalPerson, ProviderError> {
        let mut all = json!({"sub": "1", "email": "ada@example.org"});
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        person(&config(), "oidc", all.as_object().unwrap())
    }

    #[test]
    fn roles_are_found_wherever_they_are_and_the_highest_counts() {
        for (claims, expected) in [
            (json!({"realm_access": {"roles": ["x", "user"]}}), ExternalRole::Is(Role::User)),
            (json!({"realm_access": {"roles": ["user", "boss"]}}), ExternalRole::Is(Role::Admin)),
            (json!({"realm_access": {"roles": "x, boss"}}), ExternalRole::Is(Role::Admin)),
            (json!({"realm_access": {"roles": 7}}), ExternalRole::Is(Role::User)),
            (json!({"realm_access.roles": ["boss"]}), ExternalRole::Is(Role::Admin)),
            (json!({"realm_access": {"roles": ["bossy"]}}), ExternalRole::Default),
            (json!({"realm_access": {"roles": [["boss"], null, {"boss": 1}]}}), ExternalRole::Default),
            (json!({"realm_access": "boss"}), ExternalRole::Default),
            (json!({}), ExternalRole::Default),
        ] {
            assert_eq!(described(&claims).unwrap().role, expected, "{claims}");
        }
    }

    #[test]
    fn groups_that_are_not_told_are_none_and_an_empty_list_is_one() {
        for (claims, expected) in [
            (json!({}), None),
            (json!({"groups": null}), None),
            (json!({"groups": []}), Some(vec![])),
            (json!({"groups": ""}), Some(vec![])),
            (json!({"groups": "a, b c ,"}), Some(vec!["a", "b c"])),
            (json!({"groups": ["a,b", " c "]}), Some(vec!["a,b", "c"])),
        ] {
            let expected =
                expected.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<String>>());
            assert_eq!(described(&claims).unwrap().groups, expected, "{claims}");
        }
    }

    #[test]
    fn an_address_is_verified_only_where_that_is_said() {
        for (claims, expected) in [
            (json!({"email_verified": true}), true),
            (json!({"email_verified": "true"}), true),
            (json!({"email_verified": false}), false),
            (json!({"email_verified": 1}), false),
            (json!({}), false),
        ] {
            assert_eq!(described(&claims).unwrap().email_verified, expected, "{claims}");
        }
    }

    #[test]
    fn domains_are_compared_whole() {
        let config = OidcConfig { allowed_domains: vec!["Example.org".into()], ..config() };
        for (email, verified, expected) in [
            ("ada@example.org", json!(true), true),
            ("ada@EXAMPLE.org", json!(null), true),
            ("ada@example.org", json!(false), false),
            ("ada@sub.example.org", json!(true), false),
            ("ada@evil-example.org", json!(true), false),
            ("ada@example.org@evil.org", json!(true), false),
            ("example.org", json!(true), false),
        ] {
            let claims = json!({"sub": "1", "email": email, "email_verified": verified});

            let person = person(&config, "oidc", claims.as_object().unwrap());

            assert_eq!(person.is_ok(), expected, "{email} {verified}");
        }
    }

    #[test]
    fn who_cannot_be_named_is_nobody() {
        for claims in [json!({}), json!({"sub": 1, "email": "a@b.c"}), json!({"sub": "1", "email": []})] {
            let person = person(&config(), "oidc", claims.as_object().unwrap());

            assert!(matches!(person, Err(ProviderError::Missing(_))), "{claims}");
        }
    }
}
