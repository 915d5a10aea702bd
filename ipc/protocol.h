// SPDX-License-Identifier: Apache-2.0
// The numbers of the protocol. PROTOCOL.md shows them; a test compares the two.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace auspex::ipc {

inline constexpr uint16_t kProtocolVersion = 1;
inline constexpr const char* kDefaultSocket = "/run/auspex/auspex.sock";
inline constexpr const char* kSocketVariable = "AUSPEX_SOCKET";

inline constexpr size_t kMaxMessageBytes = size_t{64} * 1024;

// What a text is cut to before it is sent. The sum of all stays below kMaxMessageBytes.
inline constexpr size_t kMaxNameBytes = 256;         // account, partition, QOS, TRES and the like
inline constexpr size_t kMaxTextBytes = 1024;        // job name, work_dir, comment
inline constexpr size_t kMaxLineBytes = 4096;        // submit_line, admin_comment
inline constexpr size_t kMaxArguments = 16;          // argv, each kMaxNameBytes
inline constexpr size_t kMaxVariables = 8;           // AUSPEX_*, each kMaxNameBytes
inline constexpr size_t kMaxMessageLineBytes = 512;  // the line for the user

// One message of events keeps the submissions behind it waiting for less than half a millisecond.
inline constexpr size_t kMaxJobEvents = 64;
// What the guard tells of a site.
inline constexpr size_t kMaxPartitions = 512;
inline constexpr size_t kMaxBlockages = 512;
inline constexpr size_t kMaxGpuTypes = 512;  // of all partitions together
inline constexpr size_t kMaxChanges = 64;
// Seconds since the epoch; a later time is a broken clock, and differences of two stay exact.
// Source: our choice, the end of the year 9999.
inline constexpr int64_t kMaxTimeS = 253'402'300'799;

// The deadline that the plugin starts with, and the bounds of what a daemon may tell it.
inline constexpr std::chrono::microseconds kDefaultDeadline{2000};
inline constexpr std::chrono::microseconds kMinDeadline{100};
inline constexpr std::chrono::microseconds kMaxDeadline{100'000};

// Server caps.
inline constexpr int kMaxConnections = 256;
inline constexpr int kMaxConnectionsPerUser = 64;  // each uid but root and SlurmUser: a quarter
inline constexpr std::chrono::microseconds kStayAwake{2000};  // after a decision, if all is quiet
inline constexpr int kMaxMessagesPerTurn = 16;  // one client's share before the others' turn

}  // namespace auspex::ipc
