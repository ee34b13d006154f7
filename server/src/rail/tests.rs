use super::*;

#[test]
fn card_numbers_are_told_from_tokens() {
    // The test numbers of card schemes and providers, which belong to nobody.
    for number in [
        "4242424242424242",
        "4242 4242 4242 4242",
        "5555-5555-5555-4444",
        "378282246310005",
        "card:6011111111111117.",
    ] {
        assert!(looks_like_card_number(number), "{number}");
        assert_eq!(Instrument::new(number), Err(TokenError::CardNumber));
    }
    for token in [
        "pm_1N4242",
        "4242424242424241",
        "cus_9s6XKzkNRiz8i3",
        "1234",
    ] {
        assert!(!looks_like_card_number(token), "{token}");
        assert_eq!(Instrument::new(token).unwrap().as_str(), token);
    }
}

#[test]
fn tokens_of_the_wrong_shape_are_refused() {
    for text in ["", "two words", "é", &"x".repeat(TOKEN_MAX + 1)] {
        assert_eq!(Reference::new(text), Err(TokenError::Shape), "{text}");
    }
}

#[test]
fn an_instrument_does_not_print_its_token() {
    let printed = format!("{:?}", Instrument::new("pm_secret").unwrap());
    assert_eq!(printed, "Instrument(9 characters)");
}
