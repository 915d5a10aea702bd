// SPDX-License-Identifier: Apache-2.0
#include "graph/caching_allocator.h"

#include <algorithm>
#include <iterator>

namespace auspex {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGrain = 512;
constexpr uint64_t kSmall = kMiB, kSmallSegment = 2 * kMiB;
constexpr uint64_t kLarge = 10 * kMiB, kLargeSegment = 20 * kMiB;

uint64_t rounded(uint64_t bytes, uint64_t to) {
  return (bytes + to - 1) / to * to;
}

uint64_t segment_for(uint64_t size) {
  if (size <= kSmall) return kSmallSegment;
  return size < kLarge ? kLargeSegment : rounded(size, 2 * kMiB);
}

}  // namespace

CachingAllocator::Block CachingAllocator::take(uint64_t bytes) {
  const uint64_t size = std::max(kGrain, rounded(bytes, kGrain));
  const bool small = size <= kSmall;
  const auto piece = piece_for(size, small);
  const uint64_t rest = piece->second.size - size;
  if (small ? rest >= kGrain : rest > kSmall) {
    const uint64_t start = piece->second.start + size;
    Piece left = {piece->second.segment, start, rest, small, true};
    pieces_.emplace(std::pair(left.segment, start), left);
    free_of(left).emplace(rest, std::pair(left.segment, start));
    piece->second.size = size;
  }
  piece->second.free = false;
  in_use_ += piece->second.size;
  most_taken_ = std::max(most_taken_, in_use_);
  taken_.emplace(++blocks_, piece);
  return blocks_;
}

// The smallest that is large enough, else a new segment.
CachingAllocator::Pieces::iterator CachingAllocator::piece_for(uint64_t size, bool small) {
  std::set<Size>& free = free_[small ? 0 : 1];
  const auto found = free.lower_bound({size, {0, 0}});
  if (found != free.end()) {
    const auto piece = pieces_.find(found->second);
    free.erase(found);
    return piece;
  }
  const uint64_t whole = segment_for(size);
  reserved_ += whole;
  const Piece piece = {++segments_, 0, whole, small, false};
  return pieces_.emplace(std::pair(piece.segment, uint64_t{0}), piece).first;
}

void CachingAllocator::give_back(Block block) {
  const auto taken = taken_.find(block);
  auto piece = taken->second;
  taken_.erase(taken);
  in_use_ -= piece->second.size;
  piece->second.free = true;
  merge_with_next(piece);
  if (piece != pieces_.begin()) {
    const auto before = std::prev(piece);
    if (before->second.segment == piece->second.segment && before->second.free) {
      free_of(before->second).erase({before->second.size, before->first});
      merge_with_next(before);
      piece = before;
    }
  }
  free_of(piece->second).emplace(piece->second.size, piece->first);
}

void CachingAllocator::merge_with_next(Pieces::iterator piece) {
  const auto next = std::next(piece);
  if (next == pieces_.end() || next->second.segment != piece->second.segment) return;
  if (!next->second.free) return;
  // The piece that was just given back is not listed yet.
  free_of(next->second).erase({next->second.size, next->first});
  piece->second.size += next->second.size;
  pieces_.erase(next);
}

}  // namespace auspex
