//! Floating-point numbers as the digests of other servers have them.
//!
//! Replies have the shortest digits that read back as the same number. Redis and Valkey make theirs
//! with Grisu2 (Florian Loitsch, 2010), which for one number in a thousand finds others, and a
//! digest of them is another one. So they are made here the same way.

/// Digits that Grisu2 finds for a number, at most.
const DIGITS_MAX: usize = 18;

/// The bit above the fraction of a number that is not subnormal.
const HIDDEN: u64 = 1 << 52;

/// A number of 64 bits times a power of two.
#[derive(Clone, Copy)]
struct Float {
    fraction: u64,
    exponent: i32,
}

impl Float {
    /// What a positive number is.
    fn of(value: f64) -> Float {
        let bits = value.to_bits();
        let (fraction, exponent) = (bits & (HIDDEN - 1), (bits >> 52) as i32);
        match exponent {
            0 => Float { fraction, exponent: -1074 },
            _ => Float { fraction: fraction + HIDDEN, exponent: exponent - 1075 },
        }
    }

    /// The same number with the highest bit set.
    fn normal(self) -> Float {
        let shift = self.fraction.leading_zeros();
        Float { fraction: self.fraction << shift, exponent: self.exponent - shift as i32 }
    }

    /// Half way to the numbers below and above, with the exponent that the normal one above has.
    fn neighbours(self) -> (u64, Float) {
        let Float { fraction, exponent } = self;
        let above = Float { fraction: (fraction << 1) + 1, exponent: exponent - 1 }.normal();
        let shift = if fraction == HIDDEN { 2 } else { 1 };
        let below = (fraction << shift) - 1;
        (below << (exponent - shift - above.exponent), above)
    }
}

/// The product of two fractions, its upper half, rounded.
fn product(one: u64, other: u64) -> u64 {
    ((u128::from(one) * u128::from(other) + (1 << 63)) >> 64) as u64
}

/// The power of ten that brings a binary exponent near -60 to -32, and its exponent.
fn power_for(exponent: i32) -> (Float, i32) {
    let guess = -f64::from(exponent + POWERS.len() as i32) * std::f64::consts::LOG10_2;
    let mut index = (guess as i32 - POWER_FIRST) / POWER_STEP;
    loop {
        let power = POWER_FIRST + index * POWER_STEP;
        let binary = ((power * 217_706) >> 16) - 63;
        match exponent + binary + 64 {
            ..-60 => index += 1,
            -31.. => index -= 1,
            _ => return (Float { fraction: POWERS[index as usize], exponent: binary }, power),
        }
    }
}

/// Digits, and the power of ten that the last one counts.
struct Decimal {
    digits: [u8; DIGITS_MAX],
    len: usize,
    exponent: i32,
}

impl Decimal {
    /// What Grisu2 finds for a positive number.
    fn of(value: f64) -> Decimal {
        let float = Float::of(value);
        let (below, above) = float.neighbours();
        let (power, exponent) = power_for(above.exponent);
        let scaled = |fraction| product(fraction, power.fraction);
        let (upper, lower) = (scaled(above.fraction) - 1, scaled(below) + 1);
        let missing = upper - scaled(float.normal().fraction);
        let shift = -(above.exponent + power.exponent + 64) as u32;
        let mut found = Decimal { digits: [0; DIGITS_MAX], len: 0, exponent: -exponent };
        found.find(upper, upper - lower, missing, shift);
        found
    }

    /// Takes digits from `upper`, of which `shift` bits lie behind the point, until what is left is
    /// less than `delta`; `missing` is how far the number itself lies below.
    fn find(&mut self, upper: u64, mut delta: u64, missing: u64, shift: u32) {
        let one = 1_u64 << shift;
        let (mut whole, mut rest) = (upper >> shift, upper & (one - 1));
        let mut place = 1_000_000_000_u64;
        for left in (0..10).rev() {
            self.push(whole / place);
            whole %= place;
            let remainder = (whole << shift) + rest;
            if remainder <= delta {
                self.exponent += left;
                self.come_near(delta, remainder, place << shift, missing);
                return;
            }
            place /= 10;
        }
        let mut unit = 1_u64;
        loop {
            (rest, delta, unit) = (rest * 10, delta.wrapping_mul(10), unit.wrapping_mul(10));
            self.exponent -= 1;
            self.push(rest >> shift);
            rest &= one - 1;
            if rest < delta {
                self.come_near(delta, rest, one, missing.wrapping_mul(unit));
                return;
            }
        }
    }

    fn push(&mut self, digit: u64) {
        if (digit > 0 || self.len > 0) && self.len < DIGITS_MAX {
            self.digits[self.len] = b'0' + digit as u8;
            self.len += 1;
        }
    }

    /// Counts the last digit down while that brings it nearer to the number.
    fn come_near(&mut self, delta: u64, mut rest: u64, step: u64, missing: u64) {
        let Some(last) = self.digits[..self.len].last_mut() else { return };
        while rest < missing
            && delta - rest >= step
            && (rest + step < missing || missing - rest > rest + step - missing)
        {
            *last -= 1;
            rest += step;
        }
    }
}

/// A number as it is mixed into a digest.
pub(super) fn text(value: f64) -> String {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let value = value.abs();
    if value == 0.0 || !value.is_finite() {
        return format!("{sign}{value}");
    }
    let Decimal { digits, len, exponent } = Decimal::of(value);
    let digits = std::str::from_utf8(&digits[..len]).unwrap_or_default();
    let (count, leading) = (len as i32, exponent + len as i32 - 1);
    if exponent >= 0 && leading < count + 7 {
        return format!("{sign}{digits}{}", "0".repeat(exponent as usize));
    }
    if exponent < 0 && (exponent > -7 || leading.abs() < 4) {
        return match usize::try_from(count + exponent) {
            Ok(whole) if whole > 0 => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
            _ => format!("{sign}0.{}{digits}", "0".repeat((-exponent - count) as usize)),
        };
    }
    let digits = &digits[..len.min(DIGITS_MAX - sign.len())];
    let point = if digits.len() > 1 { "." } else { "" };
    let exponent_sign = if leading < 0 { "-" } else { "+" };
    let (first, others) = digits.split_at(1);
    format!("{sign}{first}{point}{others}e{exponent_sign}{}", leading.abs())
}

const POWER_FIRST: i32 = -348;
const POWER_STEP: i32 = 8;

/// The upper 64 bits of each eighth power of ten, from 10^-348 on, rounded.
const POWERS: [u64; 87] = [
    0xfa8f_d5a0_081c_0288,
    0xbaae_e17f_a23e_bf76,
    0x8b16_fb20_3055_ac76,
    0xcf42_894a_5dce_35ea,
    0x9a6b_b0aa_5565_3b2d,
    0xe61a_cf03_3d1a_45df,
    0xab70_fe17_c79a_c6ca,
    0xff77_b1fc_bebc_dc4f,
    0xbe56_91ef_416b_d60c,
    0x8dd0_1fad_907f_fc3c,
    0xd351_5c28_3155_9a83,
    0x9d71_ac8f_ada6_c9b5,
    0xea9c_2277_23ee_8bcb,
    0xaecc_4991_4078_536d,
    0x823c_1279_5db6_ce57,
    0xc210_9436_4dfb_5637,
    0x9096_ea6f_3848_984f,
    0xd774_85cb_2582_3ac7,
    0xa086_cfcd_97bf_97f4,
    0xef34_0a98_172a_ace5,
    0xb238_67fb_2a35_b28e,
    0x84c8_d4df_d2c6_3f3b,
    0xc5dd_4427_1ad3_cdba,
    0x936b_9fce_bb25_c996,
    0xdbac_6c24_7d62_a584,
    0xa3ab_6658_0d5f_daf6,
    0xf3e2_f893_dec3_f126,
    0xb5b5_ada8_aaff_80b8,
    0x8762_5f05_6c7c_4a8b,
    0xc9bc_ff60_34c1_3053,
    0x964e_858c_91ba_2655,
    0xdff9_7724_7029_7ebd,
    0xa6df_bd9f_b8e5_b88f,
    0xf8a9_5fcf_8874_7d94,
    0xb944_7093_8fa8_9bcf,
    0x8a08_f0f8_bf0f_156b,
    0xcdb0_2555_6531_31b6,
    0x993f_e2c6_d07b_7fac,
    0xe45c_10c4_2a2b_3b06,
    0xaa24_2499_6973_92d3,
    0xfd87_b5f2_8300_ca0e,
    0xbce5_0864_9211_1aeb,
    0x8cbc_cc09_6f50_88cc,
    0xd1b7_1758_e219_652c,
    0x9c40_0000_0000_0000,
    0xe8d4_a510_0000_0000,
    0xad78_ebc5_ac62_0000,
    0x813f_3978_f894_0984,
    0xc097_ce7b_c907_15b3,
    0x8f7e_32ce_7bea_5c70,
    0xd5d2_38a4_abe9_8068,
    0x9f4f_2726_179a_2245,
    0xed63_a231_d4c4_fb27,
    0xb0de_6538_8cc8_ada8,
    0x83c7_088e_1aab_65db,
    0xc45d_1df9_4271_1d9a,
    0x924d_692c_a61b_e758,
    0xda01_ee64_1a70_8dea,
    0xa26d_a399_9aef_774a,
    0xf209_787b_b47d_6b85,
    0xb454_e4a1_79dd_1877,
    0x865b_8692_5b9b_c5c2,
    0xc835_53c5_c896_5d3d,
    0x952a_b45c_fa97_a0b3,
    0xde46_9fbd_99a0_5fe3,
    0xa59b_c234_db39_8c25,
    0xf6c6_9a72_a398_9f5c,
    0xb7dc_bf53_54e9_bece,
    0x88fc_f317_f222_41e2,
    0xcc20_ce9b_d35c_78a5,
    0x9816_5af3_7b21_53df,
    0xe2a0_b5dc_971f_303a,
    0xa8d9_d153_5ce3_b396,
    0xfb9b_7cd9_a4a7_443c,
    0xbb76_4c4c_a7a4_4410,
    0x8bab_8eef_b640_9c1a,
    0xd01f_ef10_a657_842c,
    0x9b10_a4e5_e991_3129,
    0xe710_9bfb_a19c_0c9d,
    0xac28_20d9_623b_f429,
    0x8044_4b5e_7aa7_cf85,
    0xbf21_e440_03ac_dd2d,
    0x8e67_9c2f_5e44_ff8f,
    0xd433_179d_9c8c_b841,
    0x9e19_db92_b4e3_1ba9,
    0xeb96_bf6e_badf_77d9,
    0xaf87_023b_9bf0_ee6b,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What Redis 8.0 and Valkey 9.1 have of these.
    #[test]
    fn numbers_are_those_of_other_servers() {
        let known = [
            (0.0, "0"),
            (-0.0, "-0"),
            (f64::NEG_INFINITY, "-inf"),
            (3.0, "3"),
            (1e9, "1e+9"),
            (1_700_000_001.0, "1700000001"),
            (0.1, "0.1"),
            (1e-7, "1e-7"),
            (123_456_789_012_345_680.0, "123456789012345680"),
            (701_557_188_297_169_152.0, "701557188297169200"),
            (-212_826.700_695_323_52, "-2.1282670069532353e+5"),
            (2.326_998_873_287_078_4e-121, "2.3269988732870785e-121"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
        ];
        for (value, expected) in known {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn every_number_reads_back_as_itself() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_eq!(text(value).parse::<f64>().map(f64::to_bits), Ok(bits));
            }
        }
    }
}
