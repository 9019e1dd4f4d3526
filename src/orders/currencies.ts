/*
 * The currencies of orders: List One of ISO 4217 as of Amendment 180 (in force since 2026-01-01), that is, every
 * alphabetic code to which the list gives a number of minor units. This is a literal list and not `Intl`, because
 * CLDR's digits are those of daily cash (ALL, LBP, PKR: 0) and ISO's are those of the books (2), and because both
 * change with the version of Node.
 *
 * Refused, since List One gives them minor units of "N.A.": metals (XAG, XAU, XPD, XPT), bond market units (XBA to
 * XBD), XDR, XSU, XUA, the test code XTS and "no currency" XXX.
 *
 * Refused, since an amendment moved them to List Three, the historic codes: HRK 2023-01-01 Croatia joined the euro
 * (174) SLL 2023-12-31 redenominated as SLE (175) ZWL 2024-09-01 replaced by ZWG (177) CUC 2021-06-30 Cuba's
 * convertible peso ended, listed as such in 2025 (178) ANG 2025-03-31 replaced by XCG (176) BGN 2026-01-01 Bulgaria
 * joined the euro (180); the month of parallel circulation has ended
 *
 * Fund codes with minor units (BOV, CHE, CHW, CLF, COU, MXV, USN, UYI, XAD) are on List One and accepted: an account
 * can be held in them, and the rule can be checked against the published list.
 *
 * When an amendment withdraws a code, orders in it remain and still need its digits. So move it to a list of codes that
 * are read but not accepted, and do not delete it.
 */

/** The codes by their number of minor units, each row sorted. */
const CODES: Readonly<Record<number, string>> = {
  0: `
    BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
  `,
  2: `
    AED AFN ALL AMD AOA ARS AUD AWG AZN
    BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD
    CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK
    DKK DOP DZD
    EGP ERN ETB EUR
    FJD FKP
    GBP GEL GHS GIP GMD GTQ GYD
    HKD HNL HTG HUF
    IDR ILS INR IRR
    JMD
    KES KGS KHR KPW KYD KZT
    LAK LBP LKR LRD LSL
    MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN
    NAD NGN NIO NOK NPR NZD
    PAB PEN PGK PHP PKR PLN
    QAR
    RON RSD RUB
    SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL
    THB TJS TMT TOP TRY TTD TWD TZS
    UAH USD USN UYU UZS
    VED VES
    WST
    XAD XCD XCG
    YER
    ZAR ZMW ZWG
  `,
  3: `
    BHD IQD JOD KWD LYD OMR TND
  `,
  4: `
    CLF UYW
  `,
};

/** Minor units by code. It has no prototype, so that `CURRENCIES['constructor']` is no currency. */
export const CURRENCIES: Readonly<Record<string, number>> = Object.freeze(
  Object.entries(CODES).reduce<Record<string, number>>(
    (currencies, [digits, codes]) => {
      for (const code of codes.trim().split(/\s+/)) currencies[code] = Number(digits);
      return currencies;
    },
    Object.create(null) as Record<string, number>,
  ),
);

/** How many digits the currency has after the point; undefined for anything but an upper-case code of the list. */
export function minorUnits(code: string): number | undefined {
  return CURRENCIES[code];
}
