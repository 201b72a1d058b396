#include "em_device.h"

#include <string.h>

#include "em_frame.h"

enum { HELLO = 0x01, HERE, EMIT, EVENT, ACK };
enum { WHO = 0x81, WELCOME, PING, TAKEN, COMMAND };
enum { VERSION = 1, HEAD = 3, CHECK = 2, ID = 4, FRAME_MAX = 1 + HEAD + EM_PAYLOAD_MAX + CHECK };

static const em_device *self;
static uint8_t out[FRAME_MAX];    /* one to send: a step, address, kind, number, payload, check */
static uint8_t in[FRAME_MAX + 1]; /* one that comes in; a byte more for the NUL behind a value */
static uint8_t in_size;
static bool in_skips; /* what comes in is too long: wait for the next zero */
static uint16_t session, damaged, now, said;
static uint8_t emitted, events, event_size; /* no event waits where its size is 0 */
static uint8_t event[EM_PAYLOAD_MAX];
static struct {
    uint8_t id[ID], result;
} done[EM_IDS_MAX];
static uint8_t done_count, done_next;

static void send(uint8_t kind, uint8_t number, uint8_t size) {
    out[1] = self->address;
    out[2] = kind;
    out[3] = number;
    uint16_t crc = em_crc(out + 1, HEAD + size);
    out[1 + HEAD + size] = crc >> 8;
    out[2 + HEAD + size] = crc & 0xFF;
    size = em_stuff(out, HEAD + size + CHECK);
    self->put(0);
    for (uint8_t place = 0; place < size; place++)
        self->put(out[place]);
    self->put(0);
}

static uint8_t *payload_out(void) { return out + 1 + HEAD; }

static void put_session(uint8_t *place) {
    place[0] = session >> 8;
    place[1] = session & 0xFF;
}

static void hello(void) {
    uint8_t *payload = payload_out();
    size_t size = strlen(self->hello);
    if (size > EM_PAYLOAD_MAX - 4)
        return; /* it would never fit: the bridge tells that nobody answers */
    payload[0] = VERSION;
    put_session(payload + 1);
    payload[3] = EM_PAYLOAD_MAX;
    memcpy(payload + 4, self->hello, size);
    send(HELLO, 0, 4 + size);
}

static void here(void) {
    uint8_t *payload = payload_out();
    put_session(payload);
    payload[2] = damaged >> 8;
    payload[3] = damaged & 0xFF;
    send(HERE, 0, 4);
}

static void repeat(void) {
    said = now;
    if (!session)
        hello();
    else if (event_size) {
        memcpy(payload_out(), event, event_size);
        send(EVENT, events, event_size);
    }
}

static void answer(const uint8_t *id, uint8_t result) {
    memcpy(payload_out(), id, ID);
    payload_out()[ID] = result;
    send(ACK, 0, ID + 1);
}

static void command(uint8_t *payload, uint8_t size) {
    for (uint8_t number = 0; number < done_count; number++)
        if (memcmp(done[number].id, payload, ID) == 0) {
            answer(payload, done[number].result);
            return;
        }
    payload[size] = 0;
    uint8_t result = self->command(payload[ID], (const char *)payload + ID + 1, size - ID - 1);
    memcpy(done[done_next].id, payload, ID);
    done[done_next].result = result;
    done_next = (done_next + 1) % EM_IDS_MAX;
    if (done_count < EM_IDS_MAX)
        done_count++;
    answer(payload, result);
}

static void frame(uint8_t kind, uint8_t number, uint8_t *payload, uint8_t size) {
    uint16_t named = size >= 2 ? (uint16_t)payload[0] << 8 | payload[1] : 0;
    if (kind == WHO)
        hello();
    else if (kind == WELCOME && size == 2) {
        session = named;
        here();
        if (event_size)
            repeat();
    } else if (!session)
        return;
    else if (kind == PING && named == session)
        here();
    else if (kind == PING)
        hello();
    else if (kind == TAKEN && number == events)
        event_size = 0;
    else if (kind == COMMAND && size > ID)
        command(payload, size);
}

void em_begin(const em_device *device) {
    self = device;
    session = damaged = 0;
    in_size = event_size = done_count = done_next = 0;
    in_skips = false;
    said = now - EM_AGAIN_MS;
}

void em_take(uint8_t byte) {
    if (byte) {
        in_skips |= in_size >= FRAME_MAX;
        if (!in_skips)
            in[in_size++] = byte;
        return;
    }
    uint8_t size = in_skips ? 0 : em_unstuff(in, in_size);
    bool is_empty = !in_skips && in_size == 0;
    in_size = 0;
    in_skips = false;
    if (size < HEAD + CHECK || em_crc(in + 1, size - CHECK) != ((uint16_t)in[size - 1] << 8 | in[size]))
        damaged += !is_empty;
    else if (in[1] == self->address)
        frame(in[2], in[3], in + 1 + HEAD, size - HEAD - CHECK);
}

void em_tick(uint16_t now_ms) {
    now = now_ms;
    if ((uint16_t)(now - said) >= EM_AGAIN_MS)
        repeat();
}

bool em_is_welcome(void) { return session != 0; }

bool em_emit(uint8_t port, const char *value) {
    size_t size = strlen(value);
    if (!session || size >= EM_PAYLOAD_MAX)
        return false;
    payload_out()[0] = port;
    memcpy(payload_out() + 1, value, size);
    send(EMIT, ++emitted, 1 + size);
    return true;
}

bool em_event(uint8_t port, const char *value) {
    size_t size = strlen(value);
    if (event_size || size >= EM_PAYLOAD_MAX)
        return false;
    event[0] = port;
    memcpy(event + 1, value, size);
    event_size = 1 + size;
    events++;
    if (session)
        repeat();
    return true;
}
