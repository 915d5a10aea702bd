// SPDX-License-Identifier: Apache-2.0
#include "graph/caching_allocator.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace auspex {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(CachingAllocator, SegmentsAreAsLargeAsPyTorchs) {
  const std::pair<uint64_t, uint64_t> cases[] = {
      {1, 2 * kMiB},          {kMiB, 2 * kMiB},
      {kMiB + 1, 20 * kMiB},  {10 * kMiB - 512, 20 * kMiB},
      {10 * kMiB, 10 * kMiB}, {10 * kMiB + 1, 12 * kMiB},
      {99 * kMiB, 100 * kMiB}};
  for (const auto& [bytes, segment] : cases) {
    CachingAllocator allocator;
    allocator.take(bytes);
    EXPECT_EQ(allocator.reserved(), segment) << bytes;
  }
}

TEST(CachingAllocator, SmallBlocksShareASegment) {
  CachingAllocator allocator;
  for (int i = 0; i < 4096; ++i) allocator.take(500);  // of 512 bytes each
  EXPECT_EQ(allocator.reserved(), 2 * kMiB);
  allocator.take(1);
  EXPECT_EQ(allocator.reserved(), 4 * kMiB);
}

TEST(CachingAllocator, WhatWasGivenBackIsTakenAgain) {
  CachingAllocator allocator;
  const auto first = allocator.take(64 * kMiB);
  allocator.give_back(first);
  allocator.take(64 * kMiB);
  EXPECT_EQ(allocator.reserved(), 64 * kMiB);
  EXPECT_EQ(allocator.most_taken(), 64 * kMiB);
}

TEST(CachingAllocator, NeighboursThatAreFreeBecomeOne) {
  CachingAllocator allocator;
  std::vector<CachingAllocator::Block> parts;
  allocator.give_back(allocator.take(60 * kMiB));
  for (int i = 0; i < 3; ++i) parts.push_back(allocator.take(20 * kMiB));
  EXPECT_EQ(allocator.reserved(), 60 * kMiB);
  for (const int i : {0, 2, 1}) allocator.give_back(parts[static_cast<size_t>(i)]);
  allocator.take(60 * kMiB);
  EXPECT_EQ(allocator.reserved(), 60 * kMiB);
}

TEST(CachingAllocator, TheSmallestThatFitsIsTaken) {
  CachingAllocator allocator;
  const auto large = allocator.take(100 * kMiB), small = allocator.take(30 * kMiB);
  allocator.give_back(large);
  allocator.give_back(small);
  allocator.take(30 * kMiB);
  allocator.take(100 * kMiB);
  EXPECT_EQ(allocator.reserved(), 130 * kMiB);
}

TEST(CachingAllocator, NothingIsLostOverAnyCourse) {
  std::mt19937 random(3);
  CachingAllocator allocator;
  std::vector<std::pair<CachingAllocator::Block, uint64_t>> held;
  uint64_t in_use = 0, most = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (held.size() < 50 || random() % 2 == 0) {
      const uint64_t bytes = 512 * (1 + random() % (1U << (random() % 17)));
      held.emplace_back(allocator.take(bytes), bytes);
      in_use += bytes;
      most = std::max(most, in_use);
    } else {
      std::swap(held[random() % held.size()], held.back());
      allocator.give_back(held.back().first);
      in_use -= held.back().second;
      held.pop_back();
    }
  }
  // A block may be up to 1 MiB larger than asked for where the rest was not worth a block.
  EXPECT_GE(allocator.most_taken(), most);
  EXPECT_GE(allocator.reserved(), allocator.most_taken());
  for (const auto& [block, bytes] : held) allocator.give_back(block);
  const uint64_t reserved = allocator.reserved();
  allocator.take(20 * kMiB);
  EXPECT_EQ(allocator.reserved(), reserved);  // every segment is whole again
}

}  // namespace
}  // namespace auspex
