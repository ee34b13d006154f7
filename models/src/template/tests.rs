use proptest::prelude::*;

use super::*;

fn sample() -> Template {
    let code = OrientationCode::from_cells(|row, column| {
        (row + column > 3).then(|| u8::try_from((row * 7 + column) % 6).unwrap())
    });
    Template::orientation_only(Hand::Left, 87, code)
}

#[test]
fn stored_form_reads_back_as_written() {
    let template = sample();
    let bytes = template.to_bytes();
    assert_eq!(bytes.len(), TEMPLATE_BYTES);
    let back = Template::from_bytes(&bytes).unwrap();
    assert_eq!(back, template);
    assert_eq!(back.orientation().valid_cells(), 1024 - 10);
}

#[test]
fn layout_is_the_documented_one() {
    let bytes = sample().to_bytes();
    assert_eq!(bytes[..4], [1, 1, 1, 87]);
    // Row 0: columns 0 to 3 are not valid (plane 1 set, planes 0 and 2 clear).
    assert_eq!(bytes[132] & 0x0f, 0);
    assert_eq!(bytes[132 + 128] & 0x0f, 0x0f);
    assert_eq!(bytes[132 + 256] & 0x0f, 0);
}

#[test]
fn search_code_is_kept_where_the_model_has_one_and_refused_where_not() {
    let code = SearchCode::strongest(&[1.0; DIMENSIONS], 341).unwrap();
    let template = sample().with_search(code.clone());
    assert_eq!(template.model(), ModelVersion::WITH_SEARCH_CODE);
    let bytes = template.to_bytes();
    assert_eq!(bytes[4..132], code.to_bytes());
    let back = Template::from_bytes(&bytes).unwrap();
    assert_eq!((back.search(), &back), (Some(&code), &template));
    let mut bytes = sample().to_bytes();
    assert_eq!(sample().search(), None);
    bytes[4] = 1;
    assert_eq!(Template::from_bytes(&bytes), Err(TemplateError::Search));
}

#[test]
fn each_wrong_field_is_named() {
    let with = |at: usize, value: u8| {
        let mut bytes = sample().to_bytes();
        bytes[at] = value;
        Template::from_bytes(&bytes).unwrap_err()
    };
    assert_eq!(with(0, 9), TemplateError::Format(9));
    assert_eq!(with(1, 9), TemplateError::Model(9));
    assert_eq!(with(2, 2), TemplateError::Hand(2));
    assert_eq!(with(3, 101), TemplateError::Quality(101));
    assert_eq!(
        Template::from_bytes(&[1; 515]).unwrap_err(),
        TemplateError::Length(515)
    );
    let mut bytes = sample().to_bytes();
    bytes[132] = 0xff;
    bytes[132 + 128] = 0;
    bytes[132 + 256] = 0xff;
    assert_eq!(
        Template::from_bytes(&bytes).unwrap_err(),
        TemplateError::Cell
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_and_never_change(bytes in prop::collection::vec(any::<u8>(), 510..520)) {
        let mut bytes = bytes;
        if bytes.len() > 3 {
            bytes[..4].copy_from_slice(&[1, 1, 0, 50]);
        }
        if let Ok(template) = Template::from_bytes(&bytes) {
            prop_assert_eq!(template.to_bytes().to_vec(), bytes);
        }
    }
}

#[test]
fn a_template_with_any_byte_changed_is_refused_or_read_as_it_stands() {
    let sample = sample().to_bytes();
    for at in 0..TEMPLATE_BYTES {
        for change in [0x01, 0x55, 0xff] {
            let mut bytes = sample;
            bytes[at] ^= change;
            fuzz_template(&bytes);
            fuzz_template(&bytes[..at]);
        }
    }
}
