package lectern;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.lang.reflect.Type;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.springframework.messaging.converter.MappingJackson2MessageConverter;
import org.springframework.messaging.simp.stomp.StompCommand;
import org.springframework.messaging.simp.stomp.StompFrameHandler;
import org.springframework.messaging.simp.stomp.StompHeaders;
import org.springframework.messaging.simp.stomp.StompSession;
import org.springframework.messaging.simp.stomp.StompSessionHandlerAdapter;
import org.springframework.scheduling.concurrent.ThreadPoolTaskScheduler;
import org.springframework.web.socket.WebSocketHttpHeaders;
import org.springframework.web.socket.client.standard.StandardWebSocketClient;
import org.springframework.web.socket.messaging.WebSocketStompClient;

/** A player with Spring's own client. Orders come in PLAYER_INPUT, the result goes out as one line of JSON. */
public final class Player extends StompSessionHandlerAdapter {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final JsonNode input;
  private final ThreadPoolTaskScheduler scheduler;
  private final CountDownLatch over = new CountDownLatch(1);
  private StompSession session;
  private int score;
  private int rank;
  private int questions;
  private int durable;
  private int receipts;
  private boolean ended;

  private Player(JsonNode input, ThreadPoolTaskScheduler scheduler) {
    this.input = input;
    this.scheduler = scheduler;
  }

  /** Plays one game. */
  public static void main(String[] args) throws Exception {
    JsonNode input = JSON.readTree(System.getenv("PLAYER_INPUT"));
    ThreadPoolTaskScheduler scheduler = new ThreadPoolTaskScheduler();
    scheduler.setDaemon(true);
    scheduler.initialize();
    WebSocketStompClient client = new WebSocketStompClient(new StandardWebSocketClient());
    client.setMessageConverter(new MappingJackson2MessageConverter());
    client.setTaskScheduler(scheduler); // for heart-beats and receipts
    client.setDefaultHeartbeat(new long[] {4000, 4000});
    Player player = new Player(input, scheduler);
    StompHeaders connect = new StompHeaders();
    connect.add("Authorization", "Bearer " + input.get("token").asText());
    String url = input.get("base").asText().replaceFirst("^http", "ws") + "/stomp";
    client.connectAsync(url, (WebSocketHttpHeaders) null, connect, player);
    if (!player.over.await(60, TimeUnit.SECONDS)) {
      fail("the game does not end: " + player.result());
    }
    System.out.println(JSON.writeValueAsString(player.result()));
    player.session.disconnect();
    System.exit(0);
  }

  @Override
  public void afterConnected(StompSession connected, StompHeaders headers) {
    session = connected;
    subscribe("/user/queue/replies", "auto", (message, body) -> {
      if (message.getFirst("correlation-id") == null) {
        return;
      }
      if (body.path("durable").asBoolean()) {
        durable++;
      } else {
        fail("an answer was refused: " + body);
      }
    });
    subscribe("/user/queue/events", "client-individual", (message, body) -> {
      event(message.getFirst("event"), message, body);
      session.acknowledge(message.getAck(), true);
    });
    subscribe("/topic/room." + input.get("room").asText(), "auto",
        (message, body) -> event(message.getFirst("event"), message, body))
        .addReceiptTask(() -> System.err.println(input.get("name").asText() + " is in the room"));
  }

  private interface Taker {
    void take(StompHeaders headers, JsonNode body);
  }

  private StompSession.Subscription subscribe(String destination, String ack, Taker taker) {
    StompHeaders headers = new StompHeaders();
    headers.setDestination(destination);
    headers.setAck(ack);
    headers.setReceipt("subscribed to " + destination);
    return session.subscribe(headers, new StompFrameHandler() {
      @Override
      public Type getPayloadType(StompHeaders message) {
        return JsonNode.class;
      }

      @Override
      public void handleFrame(StompHeaders message, Object payload) {
        synchronized (Player.this) {
          taker.take(message, (JsonNode) payload);
          check();
        }
      }
    });
  }

  private void event(String name, StompHeaders headers, JsonNode data) {
    switch (name) {
      case "quiz:question" -> {
        questions++;
        long wait = data.get("opensAt").asLong() - Long.parseLong(headers.getFirst("ts")) + 50;
        scheduler.schedule(() -> answer(data.get("number").asInt()),
            scheduler.getClock().instant().plusMillis(wait));
      }
      case "quiz:rank" -> {
        score = data.get("score").asInt();
        rank = data.get("rank").asInt();
      }
      case "quiz:end" -> ended = true;
      default -> { }
    }
  }

  private void answer(int number) {
    ObjectNode data = JSON.createObjectNode().put("question", number).put("key", "k" + number);
    data.set("answer", input.get("answers").get(String.valueOf(number)));
    StompHeaders headers = new StompHeaders();
    headers.setDestination("/app/quiz.answer");
    headers.set("room", input.get("room").asText());
    headers.setReceipt("answer " + number);
    StompSession.Receiptable sent = session.send(headers, data);
    sent.addReceiptTask(() -> {
      synchronized (this) {
        receipts++;
        check();
      }
    });
    sent.addReceiptLostTask(() -> fail("no receipt for answer " + number));
  }

  private void check() {
    if (ended && durable == questions && receipts == questions) {
      over.countDown();
    }
  }

  private synchronized ObjectNode result() {
    return JSON.createObjectNode().put("name", input.get("name").asText()).put("score", score).put("rank", rank)
        .put("questions", questions).put("durable", durable).put("receipts", receipts).put("ended", ended);
  }

  @Override
  public void handleFrame(StompHeaders headers, Object payload) {
    fail("ERROR " + headers.getFirst("message"));
  }

  @Override
  public void handleException(StompSession s, StompCommand c, StompHeaders h, byte[] body, Throwable e) {
    e.printStackTrace();
    fail("the library has a fault");
  }

  @Override
  public void handleTransportError(StompSession s, Throwable e) {
    if (over.getCount() > 0) {
      e.printStackTrace();
      fail("the connection failed");
    }
  }

  private static void fail(String why) {
    System.err.println(why);
    System.exit(1);
  }
}
