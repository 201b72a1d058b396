/* A device on a serial line that `edgematrix bridge serial` makes an agent of (docs/spec/serial.md).
 *
 * It needs no heap and no operating system: about 250 bytes of memory with EM_PAYLOAD_MAX 64. One device in a program. */
#ifndef EM_DEVICE_H
#define EM_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#ifndef EM_PAYLOAD_MAX
#define EM_PAYLOAD_MAX 64 /* bytes of the largest payload, 16 to 249; the HELLO has to fit too */
#endif
#ifndef EM_IDS_MAX
#define EM_IDS_MAX 8 /* commands that are remembered, so that one that comes again is not carried out again */
#endif
#ifndef EM_AGAIN_MS
#define EM_AGAIN_MS 500 /* until an event, or a greeting, that was not answered is sent again */
#endif

enum { EM_DONE, EM_NO_PORT, EM_WRONG_VALUE, EM_FAILED };

typedef struct {
    const char *hello;           /* "thermometer >temperature =mode <lamp": the name, and the ports, numbered from 0 */
    uint8_t address;             /* tells it from others on the same line */
    void (*put)(uint8_t byte);   /* sends a byte; may wait */
    uint8_t (*command)(uint8_t port, const char *value, uint8_t size); /* carries it out; the value ends in a NUL as well */
} em_device;

/* Begin; the device has to outlive all else here. */
void em_begin(const em_device *device);

/* A byte from the line. */
void em_take(uint8_t byte);

/* To be called often, with a clock of milliseconds that may wrap. */
void em_tick(uint16_t now_ms);

/* Whether a bridge has taken us in. */
bool em_is_welcome(void);

/* Send a value; false if it is lost, because no bridge is there or it is too long. */
bool em_emit(uint8_t port, const char *value);

/* Send a value again and again until the bridge says that the broker has it; false while another one waits, or if it is too long. */
bool em_event(uint8_t port, const char *value);

#endif
