// The C interface of gemlet: a model, conversations with it, and their single steps. C11, and C++
// from 11 on. Text is UTF-8, given as pointer and length; it need not end in a zero byte.
//
// A `gemlet_model` is a model opened; it never changes and serves any number of threads. A
// `gemlet_session` is one conversation with it, for one thread at a time. Structures begin with
// their own size, so that a program and a library of different versions understand each other: set
// `size` to `sizeof` the structure; in option structures 0 stands for the default everywhere, and a
// null pointer for all defaults. Unless said otherwise, pointers must not be null.
#ifndef GEMLET_H
#define GEMLET_H

// For clang-tidy: this is C.
// NOLINTBEGIN(modernize-deprecated-headers,modernize-redundant-void-arg,modernize-use-using)

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define GEMLET_API __attribute__((visibility("default")))
#else
#define GEMLET_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gemlet_model gemlet_model;
typedef struct gemlet_session gemlet_session;

/// What a function has to say. Everything but `GEMLET_OK` is a fault.
typedef enum gemlet_status {
    GEMLET_OK = 0,
    GEMLET_NOT_FOUND = 1,     // a file or a part of it that should be there is not
    GEMLET_IO = 2,            // the operating system refused
    GEMLET_CORRUPT = 3,       // the bytes of a file contradict their format
    GEMLET_UNSUPPORTED = 4,   // valid, but not something gemlet does
    GEMLET_BAD_ARGUMENT = 5,  // a value is out of its range, a handle is not usable
    GEMLET_CONTEXT_FULL = 6,  // no room left in the context
    GEMLET_OUT_OF_MEMORY = 7,
    GEMLET_CANCELLED = 8,
    GEMLET_TOO_SMALL = 9  // a buffer of the caller; the out-parameter says what is needed
} gemlet_status;

/// Returns the version, as "1.2.3".
GEMLET_API const char* gemlet_version(void);

/// Returns a few words for a status, never null.
GEMLET_API const char* gemlet_status_text(gemlet_status status);

// ---- Models ------------------------------------------------------------------------------------

/// Type of stored keys and values.
typedef enum gemlet_kv_type {
    GEMLET_KV_DEFAULT = 0,  // int8 where the model has scales for it (QAT mobile), else f16
    GEMLET_KV_F32 = 1,
    GEMLET_KV_F16 = 2,
    GEMLET_KV_INT8 = 3
} gemlet_kv_type;

typedef struct gemlet_model_options {
    size_t size;
    size_t n_threads;             // 0: one per physical core this process may use
    size_t context;               // positions of a session; 0: the model's, at most 32768
    uint64_t memory_limit_bytes;  // 0: none
    gemlet_kv_type kv_type;
    const char*
        isa;  // use no instruction set beyond this one ("scalar", "avx2", ..); null: the best
    size_t isa_bytes;
    const char* mmproj;  // GGUF file with the encoders of a GGUF model; null: the one beside it
    size_t mmproj_bytes;
    size_t picture_budget;  // soft tokens of a picture: 70, 140, 280, 560, 1120; 0: 280
    size_t frame_budget;    // the same for a frame of a video; 0: 70
} gemlet_model_options;

typedef struct gemlet_facts {
    size_t size;
    size_t n_threads;
    size_t context;         // most positions a session can hold
    size_t vocab_size;      // number of logits; token ids are below it
    int32_t bos;            // the id a plain prompt begins with; -1: none
    const char* isa;        // best instruction set in use; lives as long as the model
    uint64_t memory_bytes;  // resident when the context of one session is full
} gemlet_facts;

/// Opens a Hugging Face directory or a GGUF file. Ownership: `*model` is to be closed also after a
/// fault, when it is good for gemlet_model_error only; it is null if there was no memory for it.
/// Errors: any; `GEMLET_OUT_OF_MEMORY` where the memory limit cannot be kept.
GEMLET_API gemlet_status gemlet_model_open(const char* path, size_t path_bytes,
                                           const gemlet_model_options* options,
                                           gemlet_model** model);

/// Closes a model; null does nothing. Its memory is freed with its last session.
GEMLET_API void gemlet_model_close(gemlet_model* model);

/// Returns why the model could not be opened, as one line ending in a zero byte; empty if it could.
/// Never null; lives as long as the handle.
GEMLET_API const char* gemlet_model_error(const gemlet_model* model);

/// Fills `facts`, of which `size` is set. Threads: any. Errors: `GEMLET_BAD_ARGUMENT`.
GEMLET_API gemlet_status gemlet_model_facts(const gemlet_model* model, gemlet_facts* facts);

/// Writes the token ids of a text, without any at its beginning or end. Where `parse_special` is
/// not 0, the spelling of a special token becomes its id: for text that the program wrote itself
/// only. Shapes: ids [capacity], may be null with capacity 0, to ask for the number; nothing is
/// written unless all fits. Threads: any. Errors: `GEMLET_TOO_SMALL` with the number in `n_ids`.
GEMLET_API gemlet_status gemlet_tokenize(const gemlet_model* model, const char* text,
                                         size_t text_bytes, int parse_special, int32_t* ids,
                                         size_t capacity, size_t* n_ids);

/// Writes the text of token ids: well-formed UTF-8, without a zero byte at its end. Where
/// `skip_special` is not 0, special tokens are left out.
/// Shapes: ids [n_ids]; text [capacity], may be null with capacity 0, to ask for the size. Threads:
/// any. Errors: `GEMLET_TOO_SMALL` with the size in `text_bytes`; `GEMLET_BAD_ARGUMENT` for an id
/// outside the vocabulary.
GEMLET_API gemlet_status gemlet_detokenize(const gemlet_model* model, const int32_t* ids,
                                           size_t n_ids, int skip_special, char* text,
                                           size_t capacity, size_t* text_bytes);

/// Gives what one token adds to a text: bytes, which may be a part of a character. They live as
/// long as the model. Allocates nothing. Threads: any. Errors: `GEMLET_BAD_ARGUMENT` for such an
/// id.
GEMLET_API gemlet_status gemlet_token_bytes(const gemlet_model* model, int32_t id,
                                            const char** bytes, size_t* n_bytes);

/// Returns 1 where a token ends the model's answer, 0 for all others. Threads: any.
GEMLET_API int gemlet_token_is_stop(const gemlet_model* model, int32_t id);

// ---- Sessions ----------------------------------------------------------------------------------

/// Creates an empty session: takes the memory of a full context. Ownership: as for
/// gemlet_model_open; the session keeps what it needs of the model.
GEMLET_API gemlet_status gemlet_session_create(gemlet_model* model, gemlet_session** session);

/// Frees a session; null does nothing.
GEMLET_API void gemlet_session_free(gemlet_session* session);

/// Returns why the last call with this session failed, as gemlet_model_error does.
GEMLET_API const char* gemlet_session_error(const gemlet_session* session);

/// Forgets all tokens, and starts the random sequence of gemlet_session_sample again.
GEMLET_API gemlet_status gemlet_session_reset(gemlet_session* session);

/// Ends the running gemlet_session_chat, _ask or _append at its next token, or its next step of a
/// long prompt; without one it does nothing. Threads: any, also from within a callback.
GEMLET_API void gemlet_session_cancel(gemlet_session* session);

/// How the next token is drawn. Order of application: penalties, top-k, top-p, min-p, temperature.
/// No field has a default of 0: read the settings, change them, write them back.
typedef struct gemlet_sampling {
    size_t size;
    float temperature;  // 0: always the likeliest token
    float top_p;
    float min_p;
    float repetition_penalty;  // 1: none
    float presence_penalty;
    float frequency_penalty;
    size_t top_k;   // 0: all
    uint64_t seed;  // the same seed gives the same answer
} gemlet_sampling;

/// Reads the settings; at first they are those of the model's files, with seed 0. Of `sampling`,
/// `size` is set. Errors: `GEMLET_BAD_ARGUMENT`.
GEMLET_API gemlet_status gemlet_session_get_sampling(gemlet_session* session,
                                                     gemlet_sampling* sampling);

/// Writes the settings. Errors: `GEMLET_BAD_ARGUMENT` for one out of its range; nothing is changed.
GEMLET_API gemlet_status gemlet_session_set_sampling(gemlet_session* session,
                                                     const gemlet_sampling* sampling);

// ---- Conversation ------------------------------------------------------------------------------

typedef enum gemlet_delta_kind {
    GEMLET_DELTA_CONTENT = 0,
    GEMLET_DELTA_REASONING = 1,
    GEMLET_DELTA_TOOL_CALL = 2  // a whole call: {"type", "function": {"name", "arguments"}}
} gemlet_delta_kind;

/// Receives the next piece of an answer, whole characters only; text is borrowed for the call.
/// Returns 0 to go on; anything else ends the answer, and nothing more of it is handed out. Must
/// not throw, and must not call functions of the session but gemlet_session_cancel.
typedef int (*gemlet_delta_function)(void* user, gemlet_delta_kind kind, const char* text,
                                     size_t text_bytes);

/// Told how far the reading of a prompt has come, in tokens that were not known from before. The
/// same duties as gemlet_delta_function.
typedef void (*gemlet_progress_function)(void* user, size_t n_done, size_t n_total);

typedef enum gemlet_media_kind {
    GEMLET_MEDIA_IMAGE = 1,  // JPEG, PNG, WebP, binary Netpbm
    GEMLET_MEDIA_AUDIO = 2,  // WAV, FLAC, .. of at most 30 seconds
    GEMLET_MEDIA_VIDEO = 3   // a file's path only; needs a library built with FFmpeg
} gemlet_media_kind;

/// A picture, sound or video: a file in memory, or where `bytes` is null the path of one. Borrowed
/// for the call.
typedef struct gemlet_media {
    size_t size;
    gemlet_media_kind kind;
    const void* bytes;
    size_t n_bytes;
    const char* path;
    size_t path_bytes;
} gemlet_media;

typedef struct gemlet_chat_options {
    size_t size;
    size_t max_tokens;    // 0: until the context is full
    int enable_thinking;  // not 0: as the request's flag of this name
    gemlet_delta_function on_delta;
    gemlet_progress_function on_progress;
    void* user;                 // handed to both
    const gemlet_media* media;  // [n_media], all of the same size
    size_t n_media;
} gemlet_chat_options;

typedef enum gemlet_finish {
    GEMLET_FINISH_STOP = 0,        // the model ended its answer
    GEMLET_FINISH_LENGTH = 1,      // max_tokens, or the context is full
    GEMLET_FINISH_TOOL_CALLS = 2,  // the model waits for the results of its calls
    GEMLET_FINISH_CANCELLED = 3
} gemlet_finish;

typedef struct gemlet_answer {
    size_t size;
    gemlet_finish finish;
    size_t n_prompt;      // tokens of the prompt
    size_t n_reused;      // of these, known from before and not computed again
    size_t n_completion;  // tokens of the answer
    int64_t prefill_ns;
    int64_t decode_ns;
} gemlet_answer;

/// Answers a request in JSON: an array of messages as in the OpenAI chat API, or an object with
/// such an array as `messages` and optionally `tools` (an array of that API) and `flags`
/// (`enable_thinking`, `preserve_thinking`, `continue_final_message`). Each request holds the whole
/// conversation; what it has in common with the tokens of the session is not computed again.
/// A message's `content` may be a list of parts; the k-th part {"type": "image"} stands for the
/// k-th picture in `options->media`, and so for "audio" and "video". All media of the conversation
/// are given each time; what is known by its content is not encoded again. Their encoder takes its
/// memory with the first of them, once for all sessions of a model.
/// `options` and `answer` may be null. An answer cut short is no fault.
/// Errors: `GEMLET_BAD_ARGUMENT` for what is no such request and for media that are not as many as
/// parts (`GEMLET_UNSUPPORTED` where there are none), `GEMLET_CONTEXT_FULL` where the prompt leaves
/// no room; those of reading media, and `GEMLET_NOT_FOUND` for kinds that the model has no encoder
/// for.
GEMLET_API gemlet_status gemlet_session_chat(gemlet_session* session, const char* json,
                                             size_t json_bytes, const gemlet_chat_options* options,
                                             gemlet_answer* answer);

/// The same for a single message of a user, given as its text; media stand before it. Errors: as
/// there, and `GEMLET_BAD_ARGUMENT` for text that is not UTF-8.
GEMLET_API gemlet_status gemlet_session_ask(gemlet_session* session, const char* text,
                                            size_t text_bytes, const gemlet_chat_options* options,
                                            gemlet_answer* answer);

/// Gives the whole last answer as JSON: {"reasoning_content", "content", "tool_calls",
/// "finish_reason"}. It lives until the next call with this session. Errors: `GEMLET_BAD_ARGUMENT`
/// before the first answer.
GEMLET_API gemlet_status gemlet_session_answer(gemlet_session* session, const char** json,
                                               size_t* json_bytes);

// ---- Single steps ------------------------------------------------------------------------------
// For programs with a loop of their own: append the ids of a prompt, sample, append the sampled id,
// and so on until gemlet_token_is_stop. Once warm, no step allocates memory.

/// Appends tokens. Shapes: ids [n_ids]. Errors: `GEMLET_CONTEXT_FULL` and `GEMLET_BAD_ARGUMENT` for
/// an id outside the vocabulary (nothing is appended); `GEMLET_CANCELLED` (what was done stays).
GEMLET_API gemlet_status gemlet_session_append(gemlet_session* session, const int32_t* ids,
                                               size_t n_ids);

/// Gives the scores after the last token. Shapes: logits [vocab_size]; they live until the next
/// call that appends. Errors: `GEMLET_BAD_ARGUMENT` where nothing was appended since the last reset
/// or truncation.
GEMLET_API gemlet_status gemlet_session_logits(gemlet_session* session, const float** logits,
                                               size_t* n_logits);

/// Draws the next token from the logits and counts it for the penalties, but does not append it.
/// The first call takes memory for the draw. Errors: as gemlet_session_logits.
GEMLET_API gemlet_status gemlet_session_sample(gemlet_session* session, int32_t* id);

/// Returns the number of tokens in the session.
GEMLET_API size_t gemlet_session_size(const gemlet_session* session);

/// Forgets the tokens from `size` on. Errors: `GEMLET_BAD_ARGUMENT` where there are fewer, or where
/// the sliding windows no longer hold what came before (then reset).
GEMLET_API gemlet_status gemlet_session_truncate(gemlet_session* session, size_t size);

#ifdef __cplusplus
}
#endif

// NOLINTEND(modernize-deprecated-headers,modernize-redundant-void-arg,modernize-use-using)

#endif
