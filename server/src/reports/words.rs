//! The words on paper, in Korean and English; the same in both languages or in neither.

/// A language that receipts and reports are printed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    En,
    /// Korean.
    Ko,
}

impl Language {
    /// The tag of BCP 47: `en`, `ko`.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ko => "ko",
        }
    }
}

/// Something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Address,
    Approval,
    Banked,
    ByBank,
    ByCard,
    ByCash,
    ByWallet,
    BusinessNumber,
    CameBack,
    Captured,
    ClosedAt,
    Counted,
    Customer,
    Declined,
    Drawer,
    Expected,
    Expired,
    Fee,
    FirstPayment,
    LastPayment,
    NetSales,
    NotCounted,
    OpenedAt,
    Opening,
    OverOrShort,
    PaidAfterRefunds,
    PaidAt,
    PaidBy,
    PaidIn,
    PaidOut,
    PartlyRefunded,
    Payment,
    Phone,
    RailRepaid,
    Refund,
    Refunded,
    Refunds,
    Representative,
    Supply,
    TakenOut,
    Thanks,
    Till,
    Tills,
    Tip,
    ToppedUp,
    Total,
    Unresolved,
    Vat,
    Voided,
    VoidedAt,
    Voids,
    WholeShop,
    ZReport,
}

impl Word {
    pub(super) const fn say(self, language: Language) -> &'static str {
        let (en, ko) = self.both();
        match language {
            Language::En => en,
            Language::Ko => ko,
        }
    }

    const fn both(self) -> (&'static str, &'static str) {
        match self {
            Self::Address => ("Address", "주소"),
            Self::Approval => ("Approval no.", "승인번호"),
            Self::Banked => ("To the bank", "은행 입금"),
            Self::ByBank => ("Bank transfer", "계좌이체"),
            Self::ByCard => ("Palm, card", "손바닥 결제(카드)"),
            Self::ByCash => ("Cash", "현금"),
            Self::ByWallet => ("Palm, wallet", "손바닥 결제(지갑)"),
            Self::BusinessNumber => ("Business reg. no.", "사업자등록번호"),
            Self::CameBack => ("Pay-outs returned", "출금 반환"),
            Self::Captured => ("Sales", "매출"),
            Self::ClosedAt => ("Closed", "마감"),
            Self::Counted => ("Counted", "실제 현금"),
            Self::Customer => ("Customer", "고객"),
            Self::Declined => ("Declined", "거절"),
            Self::Drawer => ("Cash drawer", "현금 서랍"),
            Self::Expected => ("Expected", "예상 현금"),
            Self::Expired => ("Expired", "만료"),
            Self::Fee => ("Provider's fees", "결제 수수료"),
            Self::FirstPayment => ("First sale", "첫 거래"),
            Self::LastPayment => ("Last sale", "마지막 거래"),
            Self::NetSales => ("Net sales", "순매출"),
            Self::NotCounted => ("not counted", "미확인"),
            Self::OpenedAt => ("Opened", "개시"),
            Self::Opening => ("Opening float", "준비금"),
            Self::OverOrShort => ("Over (+) or short (-)", "과부족"),
            Self::PaidAfterRefunds => ("Paid after refunds", "환불 후 결제금액"),
            Self::PaidAt => ("Date and time", "거래일시"),
            Self::PaidBy => ("Paid by", "결제수단"),
            Self::PaidIn => ("Put in", "입금"),
            Self::PaidOut => ("Pay-outs", "출금"),
            Self::PartlyRefunded => ("PARTLY REFUNDED", "부분환불"),
            Self::Payment => ("Payment no.", "거래번호"),
            Self::Phone => ("Phone", "전화"),
            Self::RailRepaid => ("Repaid to the provider", "결제사 상환"),
            Self::Refund => ("Refund", "환불"),
            Self::Refunded => ("REFUNDED", "환불"),
            Self::Refunds => ("Refunds", "환불"),
            Self::Representative => ("Representative", "대표자"),
            Self::Supply => ("Supply amount", "공급가액"),
            Self::TakenOut => ("Taken out", "출금(서랍)"),
            Self::Thanks => ("Thank you", "감사합니다"),
            Self::Till => ("Till", "계산대"),
            Self::Tills => ("By till", "계산대별"),
            Self::Tip => ("Tip", "봉사료"),
            Self::ToppedUp => ("Top-ups", "충전"),
            Self::Total => ("Total", "합계"),
            Self::Unresolved => ("Outcome not known", "결과 미확인"),
            Self::Vat => ("VAT", "부가세"),
            Self::Voided => ("VOIDED", "승인취소"),
            Self::VoidedAt => ("Voided", "취소일시"),
            Self::Voids => ("Voids", "승인취소"),
            Self::WholeShop => ("All tills", "전체 계산대"),
            Self::ZReport => ("Z REPORT", "Z 정산"),
        }
    }
}
