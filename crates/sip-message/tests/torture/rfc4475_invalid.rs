//! RFC 4475 §3.1.2: invalid messages.

use super::*;

#[test]
fn s3_1_2_1_extraneous_header_field_separators() {
    let wire = message!("rfc4475/badinv01.dat");
    assert_eq!(answered_400(&wire).field(), "Via");
    let request = Request::parse(wire).expect("its structure is sound");
    assert!(
        request
            .headers()
            .all::<Contact>()
            .any(|contact| contact.is_err())
    );
}

/// MSG-020.
#[test]
fn s3_1_2_2_content_length_larger_than_message() {
    let wire = message!("rfc4475/clerr.dat");
    assert_eq!(answered_400(&wire).kind(), ParseErrorKind::Truncated);
    assert_eq!(frames(&wire), [], "a stream waits for the rest");
}

/// MSG-021.
#[test]
fn s3_1_2_3_negative_content_length() {
    let wire = message!("rfc4475/ncl.dat");
    assert_eq!(answered_400(&wire).field(), "Content-Length");
    assert_eq!(frames(&wire), [Err(ParseErrorKind::Malformed)]);
}

/// MSG-023 and MSG-026.
#[test]
fn s3_1_2_4_request_scalar_fields_with_overlarge_values() {
    let wire = message!("rfc4475/scalar02.dat");
    let error = answered_400(&wire);
    assert_eq!(
        (error.field(), error.kind()),
        ("CSeq", ParseErrorKind::OutOfRange)
    );
    let request = Request::parse(wire).expect("its structure is sound");
    assert_eq!(
        request.headers().require::<MaxForwards>(),
        Ok(MaxForwards(255))
    );
    assert_eq!(
        request.headers().require::<Expires>(),
        Ok(Expires(u32::MAX))
    );
    let contact = request.headers().require::<Contact>().expect("is there");
    assert_eq!(
        contact.expires().expect("is there").as_secs(),
        u64::from(u32::MAX)
    );
}

#[test]
fn s3_1_2_5_response_scalar_fields_with_overlarge_values() {
    let wire = message!("rfc4475/scalarlg.dat");
    assert_eq!(verdict(&wire), Verdict::Dropped);
    let response = Response::parse(wire).expect("its structure is sound");
    let warning = response
        .headers()
        .require::<Warning>()
        .expect_err("has a code of four digits");
    assert_eq!(warning.kind(), ParseErrorKind::OutOfRange);
}

#[test]
fn s3_1_2_6_unterminated_quoted_string_in_display_name() {
    let error = answered_400(&message!("rfc4475/quotbal.dat"));
    assert_eq!(
        (error.field(), error.kind()),
        ("To", ParseErrorKind::Unbalanced)
    );
}

#[test]
fn s3_1_2_7_angle_brackets_enclosing_request_uri() {
    assert_eq!(
        answered_400(&message!("rfc4475/ltgtruri.dat")).field(),
        "Request-URI"
    );
}

/// MSG-001.
#[test]
fn s3_1_2_8_malformed_sip_request_uri_embedded_lws() {
    answered_400(&message!("rfc4475/lwsruri.dat"));
}

/// MSG-001.
#[test]
fn s3_1_2_9_multiple_sp_separating_request_line_elements() {
    answered_400(&message!("rfc4475/lwsstart.dat"));
}

/// MSG-001.
#[test]
fn s3_1_2_10_sp_characters_at_end_of_request_line() {
    assert_eq!(
        answered_400(&message!("rfc4475/trws.dat")).field(),
        "start line"
    );
}

/// MSG-039.
#[test]
fn s3_1_2_11_escaped_headers_in_sip_request_uri() {
    assert_eq!(
        answered_400(&message!("rfc4475/escruri.dat")).field(),
        "Request-URI"
    );
}

/// MSG-046: The message is accepted: nobody who does not need the date is hurt by it.
#[test]
fn s3_1_2_12_invalid_time_zone_in_date_header_field() {
    let request = accepted(&message!("rfc4475/baddate.dat"));
    let error = request
        .headers()
        .require::<Date>()
        .expect_err("is not in GMT");
    assert_eq!(
        error.to_response(&request).status(),
        StatusCode::BAD_REQUEST
    );
}

/// MSG-028.
#[test]
fn s3_1_2_13_failure_to_enclose_name_addr_uri_in_angle_brackets() {
    let request = accepted(&message!("rfc4475/regbadct.dat"));
    let error = request
        .headers()
        .require::<Contact>()
        .expect_err("is ambiguous");
    let response = error.to_response(&request);
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.reason().contains("Contact"));
}

#[test]
fn s3_1_2_14_spaces_within_addr_spec() {
    assert_eq!(
        answered_400(&message!("rfc4475/badaspec.dat")).field(),
        "To"
    );
}

#[test]
fn s3_1_2_15_non_token_characters_in_display_name() {
    // The archive's file ends without an empty line, which is an error of its own.
    let mut wire = message!("rfc4475/baddn.dat").to_vec();
    assert_eq!(
        answered_400(&wire.clone().into()).kind(),
        ParseErrorKind::Incomplete
    );
    wire.extend_from_slice(
        b"
",
    );
    assert_eq!(answered_400(&wire.into()).field(), "From");
}

/// MSG-051.
#[test]
fn s3_1_2_16_unknown_protocol_version() {
    assert_eq!(
        verdict(&message!("rfc4475/badvers.dat")),
        Verdict::Answered(505)
    );
}

/// MSG-023.
#[test]
fn s3_1_2_17_start_line_and_cseq_method_mismatch() {
    assert_eq!(
        answered_400(&message!("rfc4475/mismatch01.dat")).kind(),
        ParseErrorKind::MethodMismatch
    );
}

/// 501 is as good; whoever wants it looks at the method before calling `check`.
#[test]
fn s3_1_2_18_unknown_method_with_cseq_method_mismatch() {
    let wire = message!("rfc4475/mismatch02.dat");
    assert_eq!(answered_400(&wire).kind(), ParseErrorKind::MethodMismatch);
    assert!(
        !Request::parse(wire)
            .expect("its structure is sound")
            .method()
            .is_known()
    );
}

/// MSG-006.
#[test]
fn s3_1_2_19_overlarge_response_code() {
    let wire = message!("rfc4475/bigcode.dat");
    assert_eq!(verdict(&wire), Verdict::Dropped);
    assert_eq!(
        Response::parse(wire).expect_err("has ten digits").kind(),
        ParseErrorKind::OutOfRange
    );
}
