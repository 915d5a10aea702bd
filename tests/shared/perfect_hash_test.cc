// SPDX-License-Identifier: Apache-2.0
#include "shared/perfect_hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace auspex {
namespace {

std::vector<uint64_t> random_keys(size_t count) {
  std::mt19937_64 random(count);
  std::vector<uint64_t> keys(count);
  for (uint64_t& key : keys) key = random();
  return keys;
}

uint32_t slot_of(const BuiltPerfectHash& built, uint64_t key) {
  const uint64_t mixed = built.hash.mixed(key);
  return built.hash.slot(mixed, built.pilots.at(built.hash.bucket(mixed)));
}

void expect_a_slot_for_each(const std::vector<uint64_t>& keys, const std::string& which) {
  const auto built = perfect_hash_of(keys);
  ASSERT_TRUE(built.ok()) << which << ": " << built.error().message;
  EXPECT_EQ(built->pilots.size(), built->hash.buckets) << which;
  std::vector<bool> taken(built->hash.slots);
  for (const uint64_t key : keys) {
    const uint32_t slot = slot_of(*built, key);
    ASSERT_LT(slot, taken.size()) << which;
    ASSERT_FALSE(taken[slot]) << which << ": a slot for two keys";
    taken[slot] = true;
  }
}

TEST(PerfectHash, GivesEachKeyASlotOfItsOwn) {
  for (size_t count = 0; count < 200; ++count) {
    expect_a_slot_for_each(random_keys(count), std::to_string(count) + " keys");
  }
  expect_a_slot_for_each(random_keys(100'000), "100,000 keys");
}

TEST(PerfectHash, IsCompact) {
  const auto built = perfect_hash_of(random_keys(100'000));
  ASSERT_TRUE(built.ok());
  EXPECT_LE(built->hash.slots, 105'001U) << "no larger table was needed";
  EXPECT_LE(built->hash.buckets, 25'001U);
}

TEST(PerfectHash, TakesKeysThatAreNotRandom) {
  constexpr uint64_t kKeys = 20'000;
  std::vector<uint64_t> consecutive, equal_below, equal_above, gray, multiples;
  for (uint64_t i = 0; i < kKeys; ++i) {
    consecutive.push_back(i);
    equal_below.push_back(i << 32 | 0xdeadbeef);
    equal_above.push_back(0xdeadbeef00000000ULL | i);
    gray.push_back((i ^ i >> 1) << 20);
    multiples.push_back(i * 0x9e3779b97f4a7c15ULL);
  }
  expect_a_slot_for_each(consecutive, "consecutive");
  expect_a_slot_for_each(equal_below, "equal modulo 2^32");
  expect_a_slot_for_each(equal_above, "equal in the upper half");
  expect_a_slot_for_each(gray, "one bit apart");
  expect_a_slot_for_each(multiples, "multiples of a factor that the hash uses");
  expect_a_slot_for_each({0, ~0ULL}, "the ends of the range");
}

// The seed is not one that they could be made for.
TEST(PerfectHash, SurvivesKeysMadeForOneBucket) {
  PerfectHash aimed;
  aimed.buckets = 5001;
  std::vector<uint64_t> keys;
  for (uint64_t key = 0; keys.size() < 500; ++key) {
    if (aimed.bucket(aimed.mixed(key)) == 7) keys.push_back(key);
  }
  expect_a_slot_for_each(keys, "of one bucket");
}

TEST(PerfectHash, DependsOnTheSetNotOnItsOrder) {
  std::vector<uint64_t> keys = random_keys(5000);
  const auto one = perfect_hash_of(keys);
  std::shuffle(keys.begin(), keys.end(), std::mt19937(1));
  const auto other = perfect_hash_of(keys);
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_EQ(one->hash.seed, other->hash.seed);
  EXPECT_EQ(one->hash.slots, other->hash.slots);
  EXPECT_EQ(one->pilots, other->pilots);
}

TEST(PerfectHash, RefusesAKeyTwice) {
  std::vector<uint64_t> keys = random_keys(1000);
  keys.push_back(keys[500]);
  const auto built = perfect_hash_of(keys);
  ASSERT_FALSE(built.ok());
  EXPECT_EQ(built.error().message, "a perfect hash of 1001 keys: a key twice");
}

// As many as chance makes: a fingerprint that its slot determines would give far more.
TEST(PerfectHash, FingerprintsTellOtherKeysApart) {
  const std::vector<uint64_t> keys = random_keys(1000);
  const auto built = perfect_hash_of(keys);
  ASSERT_TRUE(built.ok());
  std::vector<uint16_t> low(built->hash.slots);  // 16 bits of the 32, or nothing would be seen
  for (const uint64_t key : keys) {
    low[slot_of(*built, key)] =
        static_cast<uint16_t>(PerfectHash::fingerprint(built->hash.mixed(key)));
  }
  constexpr uint64_t kOthers = 10'000'000;  // 153 are expected, give or take 12
  size_t mistaken = 0;
  std::mt19937_64 random(99);
  for (uint64_t i = 0; i < kOthers; ++i) {
    const uint64_t key = random();
    const auto fingerprint =
        static_cast<uint16_t>(PerfectHash::fingerprint(built->hash.mixed(key)));
    mistaken += low[slot_of(*built, key)] == fingerprint ? 1 : 0;
  }
  EXPECT_GT(mistaken, 80U);
  EXPECT_LT(mistaken, 240U);
}

}  // namespace
}  // namespace auspex
