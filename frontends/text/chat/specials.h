// The special strings of the chat format. Each is one token of the vocabulary; written by the
// prompt renderer, recognised by the response parser.
#pragma once

#include <cstdint>
#include <string_view>

namespace gemlet::chat {

inline constexpr std::string_view kBos = "<bos>";
inline constexpr std::string_view kEos = "<eos>";
inline constexpr std::string_view kThink = "<|think|>";
inline constexpr std::string_view kTurnOpen = "<|turn>";
inline constexpr std::string_view kTurnClose = "<turn|>";
inline constexpr std::string_view kChannelOpen = "<|channel>";
inline constexpr std::string_view kChannelClose = "<channel|>";
inline constexpr std::string_view kToolOpen = "<|tool>";
inline constexpr std::string_view kToolClose = "<tool|>";
inline constexpr std::string_view kToolCallOpen = "<|tool_call>";
inline constexpr std::string_view kToolCallClose = "<tool_call|>";
inline constexpr std::string_view kToolResponseOpen = "<|tool_response>";
inline constexpr std::string_view kToolResponseClose = "<tool_response|>";
inline constexpr std::string_view kQuote = "<|\"|>";
inline constexpr std::string_view kImage = "<|image|>";
inline constexpr std::string_view kImageOpen = "<|image>";
inline constexpr std::string_view kImageClose = "<image|>";
inline constexpr std::string_view kAudio = "<|audio|>";
inline constexpr std::string_view kAudioOpen = "<|audio>";
inline constexpr std::string_view kAudioClose = "<audio|>";
inline constexpr std::string_view kVideo = "<|video|>";

// Token ids that the response parser and the media expansion know by number.
inline constexpr int32_t kEosId = 1;
inline constexpr int32_t kToolCallOpenId = 48;
inline constexpr int32_t kToolCallCloseId = 49;
inline constexpr int32_t kToolResponseOpenId = 50;
inline constexpr int32_t kToolResponseCloseId = 51;
inline constexpr int32_t kQuoteId = 52;
inline constexpr int32_t kChannelOpenId = 100;
inline constexpr int32_t kChannelCloseId = 101;
inline constexpr int32_t kTurnOpenId = 105;
inline constexpr int32_t kTurnCloseId = 106;
inline constexpr int32_t kImageOpenId = 255999;
inline constexpr int32_t kAudioOpenId = 256000;
inline constexpr int32_t kImageId = 258880;
inline constexpr int32_t kAudioId = 258881;
inline constexpr int32_t kImageCloseId = 258882;
inline constexpr int32_t kAudioCloseId = 258883;
inline constexpr int32_t kVideoId = 258884;

}  // namespace gemlet::chat
