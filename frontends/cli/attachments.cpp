// Paths are made absolute and files are marked by content: a saved conversation finds them from
// elsewhere, and knows whether they are still the same.
#include "frontends/cli/attachments.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "frontends/text/tokenizer/detokenizer.h"

namespace gemlet {
namespace {

struct KindWords {
    chat::MediaKind kind;
    const char* one;
    const char* many;
};
constexpr std::array kKindWords = {KindWords{chat::MediaKind::image, "picture", "pictures"},
                                   KindWords{chat::MediaKind::audio, "sound", "sounds"},
                                   KindWords{chat::MediaKind::video, "video", "videos"}};

bool is_file(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored);
}

}  // namespace

std::vector<std::string> split_paths(const std::string& typed) {
    if (is_file(typed)) return {typed};
    std::vector<std::string> paths;
    std::string path;
    bool is_begun = false;
    char quote = '\0';
    const auto end_path = [&] {
        if (is_begun) paths.push_back(path);
        path.clear();
        is_begun = false;
    };
    for (size_t i = 0; i < typed.size(); ++i) {
        const char c = typed[i];
        if (quote == '\0' && (c == ' ' || c == '\t')) {
            end_path();
            continue;
        }
        is_begun = true;
        if (c == quote) {
            quote = '\0';
        } else if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == '\\' && quote != '\'' && i + 1 < typed.size()) {
            path += typed[++i];
        } else {
            path += c;
        }
    }
    end_path();
    return paths;
}

Result<MediaSource> Attachments::add(chat::MediaKind kind, const std::string& path) {
    const Result<ContentHash> content = content_of_file(path);
    GEMLET_TRY(content);
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(path, error);
    MediaSource source{kind, error ? path : absolute.string()};
    if (replace_broken_utf8(source.path) != source.path) {
        return Status(StatusCode::unsupported, "the file's name is not UTF-8", path);
    }
    source.content = *content;
    sources_.push_back(source);
    return source;
}

std::string Attachments::summary() const {
    std::string text;
    for (const KindWords& words : kKindWords) {
        const auto n = std::count_if(sources_.begin(), sources_.end(),
                                     [&](const MediaSource& s) { return s.kind == words.kind; });
        if (n == 0) continue;
        if (!text.empty()) text += ", ";
        text += std::to_string(n) + " " + (n == 1 ? words.one : words.many);
    }
    return text;
}

Json Attachments::parts() const {
    if (sources_.empty()) return {};
    Json parts = Json::array();
    for (const MediaSource& source : sources_) parts.items.push_back(media_part(source));
    return parts;
}

}  // namespace gemlet
