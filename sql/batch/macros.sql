-- How the batch writes money, numbers and times as text, and where a percentile lies. All in whole numbers, never a float.

-- A whole number with its point moved left by some digits: (12345, 2) → 123.45, (-5, 2) → -0.05.
CREATE OR REPLACE TEMP MACRO digits(n, least) AS lpad(abs(n)::VARCHAR, greatest(length(abs(n)::VARCHAR), least)::INTEGER, '0');
CREATE OR REPLACE TEMP MACRO pointed(n, places) AS
  CASE WHEN n < 0 THEN '-' ELSE '' END || left(digits(n, places + 1), -places) || '.' || right(digits(n, places + 1), places);

-- Money of whole cents.
CREATE OR REPLACE TEMP MACRO money(cents) AS pointed(cents, 2);

-- A JSON number of whole ten-thousandths without trailing zeros: 25000 → 2.5, -3333 → -0.3333.
CREATE OR REPLACE TEMP MACRO ten_thousandths(n) AS rtrim(rtrim(pointed(n, 4), '0'), '.')::JSON;

-- numerator / denominator to the nearest whole number, halves away from zero.
CREATE OR REPLACE TEMP MACRO quotient(numerator, denominator) AS
  sign(numerator) * sign(denominator) * ((2 * abs(numerator::HUGEINT) + abs(denominator)) // (2 * abs(denominator)));

-- 2026-11-22; years before 1 AD as astronomers count them, 44 BC is -0043.
CREATE OR REPLACE TEMP MACRO iso_date(t) AS
  CASE WHEN year(t) < 0 THEN '-' || lpad((-year(t))::VARCHAR, 4, '0') || strftime(t, '-%m-%d') ELSE strftime(t, '%Y-%m-%d') END;

-- 2026-11-22T13:59:01.123456Z without trailing zeros of the fraction.
CREATE OR REPLACE TEMP MACRO iso_time(t) AS
  iso_date(t) || 'T' || rtrim(rtrim(strftime(t, '%H:%M:%S.%f'), '0'), '.') || 'Z';

-- Where among n sorted values, counted from 0, the smallest lies that reaches the linear percentile `fifths`/5: ceil(fifths * (n - 1) / 5).
-- No value lies between two neighbours, so `value >= percentile` and `value >= the one at this place` are the same.
CREATE OR REPLACE TEMP MACRO place_of(fifths, n) AS (fifths * (n - 1) + 4) // 5;
